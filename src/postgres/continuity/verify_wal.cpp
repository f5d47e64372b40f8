#include "postgres/continuity/verify_wal.h"

#include "base/error.h"
#include "postgres/archive/wal_archive.h"
#include "postgres/continuity/timeline_walk.h"
#include "repository/key_ring.h"
#include "repository/log/slice_feed.h"

#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>

namespace holdfast::postgres {

namespace {

constexpr std::uint64_t ahead_bytes = std::uint64_t{48} << 20;
constexpr unsigned most_workers = 4; // each has a slice in its hands, as stored and as it is
constexpr std::size_t most_findings = 10'000;

bool is_history(const LogSliceId& slice) { return slice.range.begin == slice.range.end; }

// By begin; of those that begin at one place the longest first.
bool longest_first(const LogSliceId& a, const LogSliceId& b) {
    return std::tie(a.range.begin, b.range.end) < std::tie(b.range.begin, a.range.end);
}

class Verification {
  public:
    Verification(const Repository& repository, const WalVerifySettings& settings, Progress& progress,
                 std::stop_token stop)
        : repository_(repository),
          settings_(settings),
          progress_(progress),
          call_{.timeout = {}, .stop = std::move(stop)},
          source_(load_recovery_source(repository, settings.source, {}, call_)),
          archive_(repository.context(), source_.archive) {}

    WalVerifyReport run() {
        report_.decoded = repository_.keys().reads_content();
        report_.from = first_position();
        learn_identity();
        std::map<TimelineId, std::vector<LogSliceId>> timelines;
        for (const LogSliceId& slice : source_.slices) {
            if (is_history(slice)) {
                check_history(slice);
            } else if (slice.range.end > report_.from.value) {
                timelines[slice.range.branch].push_back(slice);
                ++report_.slices;
                report_.bytes +=
                    std::min<std::uint64_t>(slice.range.end - slice.range.begin, largest_slice_bytes);
            }
        }
        progress_.set_phase("following the log");
        progress_.set_total(report_.bytes, report_.slices);
        for (auto& [timeline, slices] : timelines) {
            std::ranges::sort(slices, longest_first);
            walk(timeline, std::move(slices));
        }
        for (const auto& [timeline, proof] : proofs_) check_switch(timeline);
        conclude();
        return std::move(report_);
    }

  private:
    Lsn first_position() const {
        if (settings_.from) return *settings_.from;
        if (!settings_.newest && !settings_.reaching) return {};
        const Snapshot* found = nullptr;
        for (const Snapshot& snapshot : source_.snapshots) {
            if (settings_.reaching && snapshot.end > *settings_.reaching) continue;
            if (found == nullptr || newer(snapshot, *found)) found = &snapshot;
        }
        if (found != nullptr) return Lsn{found->log->range.begin};
        throw Error(ErrorCode::usage,
                    settings_.reaching ? fmt::format("no snapshot of {} is as old as {}", settings_.source,
                                                     to_rfc3339(*settings_.reaching))
                                       : fmt::format("there is no snapshot of {}", settings_.source),
                    "'holdfast snapshots' lists those that there are");
    }

    // The key for the digests of slices, when this holder has that of the domain that writes them.
    void learn_identity() {
        for (const LogSliceId& slice : source_.slices) {
            const std::uint64_t system = source_.details(slice).system_identifier;
            if (system == 0) continue;
            try {
                if (wal_archive_id(repository_.keys(), settings_.source, system) != source_.archive) return;
                identity_.emplace(repository_.keys().identity_key());
                system_identifier_ = system;
            } catch (const Error& error) {
                if (error.code() != ErrorCode::wrong_key) throw;
            }
            return;
        }
    }

    void find(WalFinding finding) {
        if (report_.findings.size() < most_findings) {
            report_.findings.push_back(std::move(finding));
        } else {
            ++report_.more_findings;
        }
    }

    // The first that can be read counts for the timeline; here the others are held against it.
    void check_history(const LogSliceId& slice) {
        const TimelineId timeline = slice.range.branch;
        try {
            archive_.reader().check(slice, call_);
            const auto history = TimelineHistory::parse(timeline, archive_.details(slice, call_).history);
            const auto counts = source_.histories.find(timeline);
            if (counts != source_.histories.end() && counts->second != history)
                find({WalFault::history,
                      timeline,
                      {},
                      slice.name(),
                      "another history file of this timeline differs: two clusters have both begun it"});
        } catch (const Error& error) {
            take_error(slice, error);
        }
    }

    // What says something about a slice is told; the rest is thrown.
    void take_error(const LogSliceId& slice, const Error& error) {
        switch (error.code()) {
        case ErrorCode::wrong_key:
            ++report_.closed_slices;
            return;
        case ErrorCode::not_found:
            return; // a prune took it since it was listed, or it is missing: then a gap says so
        case ErrorCode::corrupt:
        case ErrorCode::access_denied:
        case ErrorCode::incompatible:
            return find({WalFault::damaged, slice.range.branch, Lsn{slice.range.begin}, slice.name(),
                         error.message()});
        default:
            throw error;
        }
    }

    // On the threads of the feed.
    LogReader::Whole read(const LogSliceId& slice, const CallOptions& call) const {
        if (!report_.decoded) {
            archive_.reader().check(slice, call);
            return {archive_.reader().info(slice, call), {}, {}};
        }
        LogReader::Whole whole = archive_.reader().whole(slice, call);
        if (identity_ && slice_digest(identity_->view(), whole.bytes) != whole.info.digest)
            corrupt_slice(slice.name(), "its digest is not that of its bytes");
        return whole;
    }

    std::vector<Lsn> junctions_of(TimelineId timeline) const {
        std::set<Lsn> points;
        for (const auto& [other, history] : source_.histories) {
            for (const TimelineHistory::Ancestor& ancestor : history.ancestors()) {
                if (ancestor.timeline == timeline) points.insert(ancestor.end);
            }
            if (other == timeline && !history.ancestors().empty())
                points.insert(history.ancestors().back().end);
        }
        return {points.begin(), points.end()};
    }

    void walk(TimelineId timeline, std::vector<LogSliceId> slices) {
        TimelineWalk walk(timeline, junctions_of(timeline));
        SliceFeed feed(
            std::move(slices),
            [this](const LogSliceId& slice, const CallOptions& call) { return read(slice, call); },
            std::min(settings_.workers, most_workers), ahead_bytes, call_.stop);
        std::vector<ProvenPart> told;
        while (std::optional<FedSlice> slice = feed.next()) {
            const LogSliceId id = slice->id;
            if (slice->error) {
                take_error(id, *slice->error);
            } else if (report_.decoded) {
                add(walk, std::move(*slice));
            } else {
                told.push_back({id, Lsn{id.range.begin}, Lsn{id.range.end}, source_.details(id)});
            }
            progress_.add_done(std::min<std::uint64_t>(id.range.end - id.range.begin, largest_slice_bytes),
                               1);
        }
        TimelineProof proof = walk.finish();
        if (!report_.decoded) proof.parts = std::move(told);
        for (WalFinding& finding : proof.findings) find(std::move(finding));
        proofs_.emplace(timeline, std::move(proof));
    }

    void add(TimelineWalk& walk, FedSlice slice) {
        if (identity_) {
            const WalDetails details = decode_wal_details(slice.whole.info.details, slice.id.name());
            if (details.system_identifier != system_identifier_) {
                return find({WalFault::damaged, slice.id.range.branch, Lsn{slice.id.range.begin},
                             slice.id.name(),
                             fmt::format("it is of cluster {}, and the archive of {}",
                                         details.system_identifier, system_identifier_)});
            }
        }
        walk.add(std::move(slice));
    }

    const Junction* junction(TimelineId timeline, Lsn at) const {
        const auto proof = proofs_.find(timeline);
        if (proof == proofs_.end()) return nullptr;
        const auto found = std::ranges::find(proof->second.junctions, at, &Junction::at);
        return found == proof->second.junctions.end() ? nullptr : &*found;
    }

    // That a timeline goes on where the one before it was left. The log up to there is often in both.
    void check_switch(TimelineId timeline) {
        const auto history = source_.histories.find(timeline);
        if (history == source_.histories.end() || history->second.ancestors().empty()) return;
        const TimelineHistory::Ancestor& before = history->second.ancestors().back();
        const Junction* left = junction(before.timeline, before.end);
        const Junction* entered = junction(timeline, before.end);
        const auto wrong = [&](std::string what) {
            find({WalFault::switching, timeline, before.end, {}, std::move(what)});
        };
        if (left != nullptr && entered != nullptr && left->bytes && entered->bytes &&
            left->bytes != entered->bytes) {
            return wrong(
                fmt::format("the log before {} is another on timeline {} than on timeline {}, which was left "
                            "there",
                            before.end.str(), timeline, before.timeline));
        }
        if (left != nullptr && entered != nullptr && left->last_before && entered->named_by_next &&
            left->last_before != entered->named_by_next) {
            return wrong(fmt::format("its first record follows {}, and the last one of timeline {} is {}",
                                     entered->named_by_next->str(), before.timeline,
                                     left->last_before->str()));
        }
        if (left != nullptr && !left->last_before && goes_past(before.timeline, before.end)) {
            wrong(fmt::format("its history says that timeline {} was left at {}, where no record of it ends",
                              before.timeline, before.end.str()));
        }
    }

    bool goes_past(TimelineId timeline, Lsn at) const {
        return report_.decoded &&
               std::ranges::any_of(proofs_.at(timeline).parts,
                                   [&](const ProvenPart& part) { return part.begin < at && at < part.end; });
    }

    void conclude() {
        std::ranges::stable_sort(report_.findings, {}, [](const WalFinding& finding) {
            return std::pair(finding.timeline, finding.at);
        });
        RecoverySource proven;
        proven.name = source_.name;
        proven.archive = source_.archive;
        proven.histories = source_.histories;
        proven.released = source_.released;
        for (const Snapshot& snapshot : source_.snapshots) {
            if (snapshot.log->range.begin >= report_.from.value) proven.snapshots.push_back(snapshot);
        }
        const auto known = std::make_shared<std::map<LogSliceId, WalDetails>>();
        for (auto& [timeline, proof] : proofs_) {
            VerifiedTimeline& told = report_.timelines.emplace_back();
            told.timeline = timeline;
            told.records = proof.records;
            told.commits = proof.commits;
            for (ProvenPart& part : proof.parts) {
                LogSliceId slice = part.slice;
                slice.range = {timeline, part.begin.value, part.end.value};
                if (!told.stretches.empty() && part.begin <= told.stretches.back().end) {
                    told.stretches.back().end = std::max(told.stretches.back().end, part.end);
                } else {
                    told.stretches.push_back({timeline, part.begin, part.end});
                }
                proven.slices.push_back(slice);
                known->emplace(slice, std::move(part.details));
            }
        }
        std::ranges::sort(proven.slices);
        proven.details = [known](const LogSliceId& slice) {
            const auto found = known->find(slice);
            return found == known->end() ? WalDetails() : found->second;
        };
        report_.window = recovery_window(proven);
        // What was proven is of the first of several logs. Which there are is told of what is there.
        if (std::ranges::find(report_.findings, WalFault::conflict, &WalFinding::fault) !=
            report_.findings.end())
            report_.window.forks = recovery_window(source_).forks;
        tell_idle_gaps();
    }

    void tell_idle_gaps() {
        for (const VerifiedTimeline& timeline : report_.timelines) {
            for (std::size_t i = 1; i < timeline.stretches.size(); ++i) {
                const WalRange gap{timeline.timeline, timeline.stretches[i - 1].end,
                                   timeline.stretches[i].begin};
                const auto has = [&](const RecoveryGap& other) {
                    return other.begin < gap.end && gap.begin < other.end &&
                           source_.history_of(other.timeline).contains(gap.timeline);
                };
                if (!std::ranges::any_of(report_.window.gaps, has) &&
                    !std::ranges::any_of(report_.window.released, has))
                    report_.idle_gaps.push_back(gap);
            }
        }
    }

    const Repository& repository_;
    const WalVerifySettings& settings_;
    Progress& progress_;
    const CallOptions call_;
    const RecoverySource source_;
    const WalArchive archive_;
    std::optional<Secret> identity_;
    std::uint64_t system_identifier_ = 0;
    std::map<TimelineId, TimelineProof> proofs_;
    WalVerifyReport report_;
};

} // namespace

WalVerifyReport verify_wal(const Repository& repository, const WalVerifySettings& settings,
                           Progress& progress, std::stop_token stop) {
    return Verification(repository, settings, progress, std::move(stop)).run();
}

} // namespace holdfast::postgres
