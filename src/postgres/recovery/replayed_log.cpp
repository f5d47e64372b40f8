#include "postgres/recovery/replayed_log.h"

#include "base/at_once.h"
#include "base/error.h"
#include "postgres/wal/block_changes.h"
#include "postgres/wal/wal_event.h"
#include "postgres/wal/wal_reader.h"

#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>

namespace holdfast::postgres {

namespace {

// Each may hold a map of a few megabytes.
constexpr unsigned maps_at_once = 4;

// What a slice's map says of its records.
struct Told {
    Lsn from; // 0: it describes none
    Lsn to;
    bool concerns = false; // it has records that are looked for
    bool broken = false;
    bool full_page_writes_off = false;
};

// Whether a server stops before a record.
class StopPoint {
  public:
    explicit StopPoint(const RecoveryPlan& plan) : plan_(plan) {}

    bool is_before(const WalRecord& record, const wal_event::Event& event) const {
        if (const auto* lsn = std::get_if<RecoverToLsn>(&plan_.target))
            return plan_.inclusive ? record.start > lsn->position : record.start >= lsn->position;
        if (std::holds_alternative<RecoverToConsistency>(plan_.target))
            return record.start.value >= plan_.snapshot.log->range.end;
        const auto* end = std::get_if<wal_event::TransactionEnd>(&event);
        if (const auto* target = std::get_if<RecoverToTime>(&plan_.target);
            target != nullptr && end != nullptr) {
            const Timestamp time = from_unix_microseconds(end->time);
            return plan_.inclusive ? time > target->time : time >= target->time;
        }
        return false;
    }

  private:
    const RecoveryPlan& plan_;
};

class Looking {
  public:
    Looking(const RecoverySource& source, const RecoveryPlan& plan, bool databases,
            const std::stop_token& stop)
        : source_(source), plan_(plan), databases_(databases), stop_(stop), steps_(plan.log.steps) {
        // A record that begins before the target may end, and be told of, in the next slice.
        const LogChain rest =
            follow_log(source, source.history_of(plan.timeline), plan.log.end, plan.log.end + 1);
        steps_.insert(steps_.end(), rest.steps.begin(), rest.steps.end());
        told_.resize(steps_.size());
    }

    ReplayedLog look() {
        if (steps_.empty()) return std::move(found_);
        ask_maps();
        const auto off = std::ranges::find(told_, true, &Told::full_page_writes_off);
        if (off != told_.end())
            found_.full_page_writes_off = Lsn{steps_[static_cast<std::size_t>(off - told_.begin())].begin};
        const std::vector<bool> wanted = choose();
        for (std::size_t i = 0; i < steps_.size();) {
            if (!wanted[i]) {
                ++i;
                continue;
            }
            std::size_t end = i + 1;
            while (end < steps_.size() && wanted[end]) ++end;
            read(i, end);
            i = end;
        }
        return std::move(found_);
    }

  private:
    void ask_maps() {
        std::vector<LogSliceId> slices;
        std::vector<std::string> names;
        std::map<std::string, std::vector<std::size_t>> steps_of; // two stretches of one slice may be used
        for (std::size_t i = 0; i < steps_.size(); ++i) {
            std::vector<std::size_t>& of_this = steps_of[steps_[i].slice.name()];
            if (of_this.empty()) {
                slices.push_back(steps_[i].slice);
                names.push_back(steps_[i].slice.name());
            }
            of_this.push_back(i);
        }
        if (source_.fetch_details) source_.fetch_details(slices);
        for_each_at_once(names, maps_at_once, stop_, [&](const std::string& name, const std::stop_token&) {
            const std::vector<std::size_t>& of_this = steps_of.at(name);
            const Told told = ask(steps_[of_this.front()].slice);
            for (const std::size_t i : of_this) told_[i] = told;
        });
    }

    Told ask(const LogSliceId& slice) const {
        Told told;
        told.broken = !source_.details(slice).broken.empty();
        try {
            const Bytes summary = source_.summary(slice);
            if (summary.empty()) return told;
            const BlockChanges changes = BlockChanges::decode(summary);
            told.from = changes.from();
            told.to = changes.to();
            told.concerns = changes.makes_tablespaces() || (databases_ && changes.copies_directories());
            told.full_page_writes_off = static_cast<bool>(changes.doubt(Doubt::full_page_writes_off));
        } catch (const Error& error) {
            if (!is_unreadable(error)) throw;
            told.broken = true;
        }
        return told;
    }

    // Which slices to read: those that concern, those that tell nothing, and both beside a place that neither
    // describes.
    std::vector<bool> choose() const {
        std::vector<bool> wanted(steps_.size());
        Lsn described = plan_.log.begin;
        std::size_t behind = 0; // the first slice behind what is described
        for (std::size_t i = 0; i < steps_.size(); ++i) {
            const Told& told = told_[i];
            if (told.concerns || told.broken) wanted[i] = true;
            if (!told.from) continue;
            if (told.from > described && !same_record_start(told.from, described))
                std::fill(wanted.begin() + static_cast<std::ptrdiff_t>(behind),
                          wanted.begin() + static_cast<std::ptrdiff_t>(i) + 1, true);
            // Of a timeline that was left, the rest does not count.
            described = std::max(described, std::min(told.to, Lsn{steps_[i].end}));
            behind = i + 1;
        }
        std::fill(wanted.begin() + static_cast<std::ptrdiff_t>(behind), wanted.end(), true);
        return wanted;
    }

    // --- Reading ------------------------------------------------------------------------------------------

    // Of the slices [first, end), with so much before them that a record that ends in them is seen whole:
    // those that matter here are shorter than a page.
    void read(std::size_t first, std::size_t end) {
        const std::uint64_t position = steps_[first].begin;
        const std::uint64_t page = position / wal_page_bytes * wal_page_bytes;
        const std::uint64_t wanted = page >= wal_page_bytes ? page - wal_page_bytes : page;
        std::size_t from = first;
        while (from > 0 && steps_[from].begin > wanted) --from;
        // The first slice of the chain may have bytes before the chain begins.
        const std::uint64_t available = from == 0 ? steps_[0].slice.range.begin : steps_[from].begin;
        const auto broken_off = decode(from, end, std::max(wanted, available));
        // Behind a switch the rest of a segment is nothing: no record comes from there.
        if (broken_off && broken_off->value < position) decode(first, end, position);
    }

    // From the first page at or behind `position`; returns where the log is none any more.
    std::optional<Lsn> decode(std::size_t from, std::size_t end, std::uint64_t position) {
        const WalDetails details = source_.details(steps_[from].slice);
        if (details.version == 0 || details.segment_bytes == 0) {
            unread(from, end, "it does not say what it is of");
            return std::nullopt;
        }
        found_.segment_bytes = details.segment_bytes;
        const std::uint64_t start = (position + wal_page_bytes - 1) / wal_page_bytes * wal_page_bytes;
        WalReader reader({details.version, details.segment_bytes, details.system_identifier, 0}, Lsn{start},
                         [&](const WalRecord& record) { take(record, details.version); });
        for (std::size_t i = from; i < end && !reader.end() && !stopped_; ++i) {
            if (steps_[i].end <= start) continue;
            try {
                const LogSliceId& slice = steps_[i].slice;
                const std::uint64_t begin = std::max(start, i == 0 ? slice.range.begin : steps_[i].begin);
                reader.feed(source_.bytes_of({slice.range.branch, begin, steps_[i].end}));
            } catch (const Error& error) {
                if (!is_unreadable(error)) throw;
                unread(i, end, error.message());
                return std::nullopt;
            }
            if (stop_.stop_requested()) throw Error(ErrorCode::cancelled, "stopped before it was done");
        }
        return reader.end() ? std::optional(reader.end()->at) : std::nullopt;
    }

    void take(const WalRecord& record, int version) {
        if (stopped_ || record.start < plan_.log.begin) return;
        std::string refused;
        const wal_event::Event event = wal_event::event_or_unknown(record, version, &refused);
        if (!refused.empty()) {
            found_.unread.push_back(refused);
            return;
        }
        if (StopPoint(plan_).is_before(record, event)) {
            stopped_ = true;
            return;
        }
        const auto* made = std::get_if<wal_event::TablespaceCreate>(&event);
        const auto* copied = std::get_if<wal_event::DatabaseCopy>(&event);
        if ((made == nullptr && copied == nullptr) || !seen_.insert(record.start).second) return;
        if (made != nullptr)
            found_.tablespaces.push_back({made->tablespace,
                                          made->path,
                                          record.start,
                                          {record.bytes.begin(), record.bytes.end()},
                                          record.bytes.size() - record.main_data.size() + sizeof(Oid)});
        if (copied != nullptr && databases_)
            found_.copies.push_back({copied->database, copied->from_database, record.start});
    }

    void unread(std::size_t first, std::size_t end, const std::string& why) {
        found_.unread.push_back(fmt::format("the log from {} to {}: {}", Lsn{steps_[first].begin}.str(),
                                            Lsn{steps_[end - 1].end}.str(), why));
    }

    const RecoverySource& source_;
    const RecoveryPlan& plan_;
    const bool databases_;
    const std::stop_token& stop_;
    std::vector<PathStep> steps_;
    std::vector<Told> told_;
    std::set<Lsn> seen_;
    bool stopped_ = false;
    ReplayedLog found_;
};

} // namespace

ReplayedLog look_at_replayed_log(const RecoverySource& source, const RecoveryPlan& plan, bool databases,
                                 const std::stop_token& stop) {
    return Looking(source, plan, databases, stop).look();
}

} // namespace holdfast::postgres
