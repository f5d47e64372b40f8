#include "postgres/archive/archived_changes.h"

#include "base/error.h"
#include "postgres/wal/wal_event.h"
#include "postgres/wal/wal_reader.h"
#include "repository/log/proven_path.h"

#include <algorithm>
#include <map>
#include <utility>

#include <fmt/format.h>

namespace holdfast::postgres {

namespace {

// Adds what the archive's bytes say of the records from changes.to() up to those that start at `until` or
// behind. False when they do not decode so far.
bool decode_across(const WalArchive& archive, TimelineId timeline, const WalDetails& details,
                   BlockChanges& changes, Lsn until, const CallOptions& call) {
    const Lsn start = changes.to();
    const Lsn page{start.value / wal_page_bytes * wal_page_bytes};
    bool reached = false;
    WalReader reader({details.version, details.segment_bytes, details.system_identifier, timeline}, page,
                     [&](const WalRecord& record) {
                         if (record.start < start || reached) return;
                         if (record.start >= until || same_record_start(record.start, until)) {
                             reached = true;
                             return;
                         }
                         changes.add(record, wal_event::event_or_unknown(record, details.version));
                     });
    // One record may be long: as far as it goes, and no farther.
    archive.read(
        {timeline, page, Lsn{UINT64_MAX}},
        [&](ByteView bytes) {
            if (!reached && !reader.end()) reader.feed(bytes);
            if (reached || reader.end()) throw Error(ErrorCode::cancelled, "enough was read");
        },
        call);
    return reached;
}

class Gathering {
  public:
    Gathering(const WalArchive& archive, const WalRange& range, Lsn agreed, bool may_read_content,
              const CallOptions& call)
        : archive_(archive),
          range_(range),
          agreed_(agreed),
          may_read_content_(may_read_content),
          call_(call) {}

    ArchivedChanges run() {
        const std::vector<LogSliceId> slices = archive_.slices_of(range_, call_);
        const std::vector<PathStep> path =
            ProvenPaths(archive_.reader())
                .find(slices, {range_.timeline, range_.begin.value, range_.end.value}, call_);
        if (path.empty() || path.back().end < range_.end.value) {
            return missing(fmt::format("the archive has no log from {} to {}",
                                       path.empty() ? range_.begin.str() : Lsn{path.back().end}.str(),
                                       range_.end.str()));
        }
        if (const std::string why = rivals(slices); !why.empty()) return missing(why);
        if (const std::string why = disagreement(slices); !why.empty()) return missing(why);
        for (const PathStep& step : path) {
            if (const std::string why = add(step.slice); !why.empty()) return missing(why);
        }
        if (!changes_ || (changes_->to() < range_.end && !same_record_start(changes_->to(), range_.end))) {
            if (const std::string why = bridge(range_.end); !why.empty()) return missing(why);
        }
        ArchivedChanges found;
        if (!changes_->usable()) return missing("the log tells of changes that it does not describe");
        found.changes = std::move(changes_);
        return found;
    }

  private:
    static ArchivedChanges missing(std::string why) {
        ArchivedChanges found;
        found.missing = std::move(why);
        return found;
    }

    // Two contents of one stretch: the server was set back to an earlier state, or two servers have written.
    // Which of them the pages are of is not told by either. Empty when there are none.
    std::string rivals(const std::vector<LogSliceId>& slices) const {
        std::map<std::pair<std::uint64_t, std::uint64_t>, std::vector<const LogSliceId*>> by_range;
        for (const LogSliceId& slice : slices)
            by_range[{slice.range.begin, slice.range.end}].push_back(&slice);
        for (const auto& [range, same] : by_range) {
            std::optional<SliceDigest> digest;
            for (const LogSliceId* slice : same.size() > 1 ? same : std::vector<const LogSliceId*>()) {
                const SliceDigest found = archive_.reader().info(*slice, call_).digest;
                if (digest && *digest != found) return two_contents(range.first, range.second);
                digest = found;
            }
        }
        return {};
    }

    // Slices of different lengths are compared where it matters most: before the end of the earlier backup.
    std::string disagreement(const std::vector<LogSliceId>& slices) const {
        if (!may_read_content_) return {};
        std::vector<LogSliceId> there;
        for (const LogSliceId& slice : slices) {
            if (slice.range.begin < agreed_.value && agreed_.value <= slice.range.end) there.push_back(slice);
        }
        if (there.size() < 2) return {};
        const Bytes first = archive_.reader().content(there[0], call_).bytes;
        for (std::size_t i = 1; i < there.size(); ++i) {
            const Bytes next = archive_.reader().content(there[i], call_).bytes;
            const std::uint64_t begin = std::max(there[0].range.begin, there[i].range.begin);
            const std::uint64_t bytes = agreed_.value - begin;
            if (!std::ranges::equal(ByteView(first).subspan(begin - there[0].range.begin, bytes),
                                    ByteView(next).subspan(begin - there[i].range.begin, bytes)))
                return two_contents(begin, agreed_.value);
        }
        return {};
    }

    static std::string two_contents(std::uint64_t begin, std::uint64_t end) {
        return fmt::format(
            "the archive has two contents for {} to {}: the server was set back, or two have written it",
            Lsn{begin}.str(), Lsn{end}.str());
    }

    // Empty when it went well. Records before the range do no harm: a page that they changed is read once
    // more.
    std::string add(const LogSliceId& slice) {
        details_ = archive_.details(slice, call_);
        if (!details_.broken.empty())
            return fmt::format("the log does not decode in slice {}: {}", slice.name(), details_.broken);
        const Bytes summary = archive_.reader().summary(slice, call_);
        if (summary.empty()) return {}; // within one long record
        BlockChanges next = BlockChanges::decode(summary);
        const Lsn before = std::exchange(last_record_, details_.last);
        if (!changes_) {
            if (next.from() > range_.begin && !same_record_start(next.from(), range_.begin)) {
                changes_.emplace(range_.begin);
                if (std::string why = bridge(next.from()); !why.empty()) return why;
                changes_->append(next);
                return {};
            }
            changes_.emplace(std::move(next));
            return {};
        }
        if (next.to() <= changes_->to()) {
            last_record_ = before;
            return {};
        }
        bool bridged = false;
        if (next.from() > changes_->to() && !same_record_start(next.from(), changes_->to())) {
            if (std::string why = bridge(next.from()); !why.empty()) return why;
            bridged = true;
        }
        if (same_record_start(next.from(), changes_->to())) {
            // Each record says where the one before it starts. One that says otherwise is of another log.
            if (before && details_.previous && before != details_.previous && !bridged) {
                return fmt::format(
                    "the log is not of one server: the record at {} does not follow the one at {}",
                    next.from().str(), before.str());
            }
            changes_->append(next);
        } else {
            changes_->unite(next); // they overlap
            changes_->extend_to(next.to());
        }
        return {};
    }

    std::string bridge(Lsn until) {
        if (!changes_) changes_.emplace(range_.begin);
        const std::string where =
            fmt::format("a record between {} and {}", changes_->to().str(), until.str());
        if (!may_read_content_)
            return fmt::format("{} is described by no slice, and this key may not read it", where);
        try {
            if (decode_across(archive_, range_.timeline, details_, *changes_, until, call_)) return {};
        } catch (const Error& error) {
            if (error.code() != ErrorCode::cancelled || (call_.stop.stop_requested())) throw;
            if (changes_->to() >= until || same_record_start(changes_->to(), until)) return {};
        }
        return fmt::format("{} is described by no slice and does not decode", where);
    }

    const WalArchive& archive_;
    const WalRange range_;
    const Lsn agreed_;
    const bool may_read_content_;
    const CallOptions& call_;
    std::optional<BlockChanges> changes_;
    WalDetails details_; // of the slice at hand
    Lsn last_record_;    // of the one before; 0: not known
};

} // namespace

ArchivedChanges changes_between(const WalArchive& archive, const WalRange& range, Lsn agreed,
                                bool may_read_content, const CallOptions& call) {
    try {
        return Gathering(archive, range, agreed, may_read_content, call).run();
    } catch (const Error& error) {
        // A slice that is lost, damaged or not for this key: then everything is read, as without any.
        if (error.code() != ErrorCode::corrupt && error.code() != ErrorCode::not_found &&
            error.code() != ErrorCode::wrong_key && error.code() != ErrorCode::access_denied)
            throw;
        ArchivedChanges found;
        found.missing = error.message();
        return found;
    }
}

// Whatever was made anew under a number, and whole directories that were copied, come as a shortest length of
// 0.
SegmentChanges MappedBlocks::of(const RelationSegment& segment) const {
    const RelationFile relation{segment.relation.tablespace, segment.relation.database,
                                segment.relation.number};
    const BlockChanges::ForkChanges fork = changes_.of_fork(relation, segment.relation.fork);
    const std::uint64_t first = std::uint64_t{segment.segment} * segment_blocks_;
    const std::uint64_t end = first + segment_blocks_;
    SegmentChanges found;
    if (fork.known_below <= first) return found; // all
    found.what = SegmentChanges::What::none;
    const auto take = [&](std::uint64_t from, std::uint64_t to) {
        from = std::max(from, first);
        to = std::min(to, end);
        if (from >= to) return;
        found.what = SegmentChanges::What::some;
        found.blocks.push_back(
            {static_cast<std::uint32_t>(from - first), static_cast<std::uint32_t>(to - from)});
    };
    if (fork.blocks != nullptr) {
        fork.blocks->for_each_range([&](BlockNumber from, std::uint64_t count) {
            take(from, std::min<std::uint64_t>(from + count, fork.known_below));
        });
    }
    take(fork.known_below, end);
    return found;
}

} // namespace holdfast::postgres
