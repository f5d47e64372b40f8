#include "service/log_release.h"

#include "base/at_once.h"
#include "base/error.h"
#include "postgres/archive/wal_archive.h"
#include "postgres/recovery/log_chain.h"
#include "postgres/recovery/recovery_source.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <utility>

#include <fmt/format.h>

namespace holdfast {

namespace {

using postgres::Lsn;
using postgres::RecoverySource;
using postgres::TimelineHistory;
using postgres::TimelineId;

// Where no slice says how long segments are: the longest there can be, which keeps most.
constexpr std::uint64_t longest_segment_bytes = std::uint64_t{1} << 30;
constexpr std::uint64_t least_segment_bytes = std::uint64_t{1} << 20; // that PostgreSQL has
constexpr unsigned requests_at_once = 16;

// From where on a timeline is needed, and the first moment that can be reached from there.
struct Need {
    Lsn begin;
    Timestamp from;

    void widen(const Need& other) {
        begin = std::min(begin, other.begin);
        from = std::min(from, other.from);
    }
};
using Needs = std::map<TimelineId, Need>;

// What leads to the end of `history`.
void add_need(Needs& needs, const TimelineHistory& history, const Need& need) {
    const auto add = [&](TimelineId timeline) {
        const auto [known, first] = needs.emplace(timeline, need);
        if (!first) known->second.widen(need);
    };
    for (const TimelineHistory::Ancestor& ancestor : history.ancestors())
        if (ancestor.end > need.begin) add(ancestor.timeline);
    add(history.timeline());
}

bool lies_on(const RetentionSubject& subject, std::size_t stretch) {
    return std::ranges::find(subject.stretches, stretch, &RetentionSubject::Stretch::number) !=
           subject.stretches.end();
}

// Where the stretch `number` begins to be needed. One that no good snapshot begins is needed as a whole. What
// was made behind the one that begins it, by whichever measure, stays whole too.
Need need_of(const SourceSnapshots& source, std::size_t number, const std::optional<std::size_t>& anchor) {
    std::optional<Need> need;
    for (std::size_t i = 0; i < source.snapshots.size(); ++i) {
        const RetentionSubject& subject = source.subjects[i];
        if (!lies_on(subject, number)) continue;
        const bool behind = !anchor || i == *anchor || subject.time > source.subjects[*anchor].time ||
                            subject.end > source.subjects[*anchor].end ||
                            subject.sequence > source.subjects[*anchor].sequence;
        if (!behind) continue;
        const Need own{Lsn{source.snapshots[i].snapshot.log->range.begin}, subject.end};
        if (need) {
            need->widen(own);
        } else {
            need = own;
        }
    }
    return need.value_or(Need{});
}

// The log of one timeline, by what its slices say.
struct TimelineLog {
    Lsn end;
    std::optional<Lsn> within; // where the first slice with a commit within the window begins
};

TimelineLog look_at(const RecoverySource& log, TimelineId timeline, const RetentionPolicy& policy,
                    Timestamp now) {
    TimelineLog found;
    for (const LogSliceId& slice : log.slices) {
        if (slice.range.branch != timeline || slice.range.begin == slice.range.end) continue;
        found.end = std::max(found.end, Lsn{slice.range.end});
        const std::int64_t commit_us = log.details(slice).last_commit_us;
        if (commit_us == 0) continue;
        if (policy.window->after(postgres::from_unix_microseconds(commit_us), policy.zone) <= now) continue;
        const Lsn begin{slice.range.begin};
        found.within = found.within ? std::min(*found.within, begin) : begin;
    }
    // A timeline that left it may have the rest of the last segment.
    for (const auto& [_, history] : log.histories) {
        for (const TimelineHistory::Ancestor& ancestor : history.ancestors())
            if (ancestor.timeline == timeline) found.end = std::max(found.end, ancestor.end);
    }
    return found;
}

// Up to where a timeline is let go. Where nothing within the window leads to it, as a whole, unless it has a
// commit from within: it is still being written, and may be of use with the next snapshot.
Lsn position_of(const TimelineLog& log, const Need* need, std::uint64_t segment_bytes) {
    if (need == nullptr) return log.within ? Lsn{} : log.end;
    const Lsn begin = log.within ? std::min(need->begin, *log.within) : need->begin;
    // Servers fetch whole segments.
    return Lsn{begin.value / segment_bytes * segment_bytes};
}

// --- Which policies and archives -------------------------------------------------------------------------

// Slices of the archive that have the first byte of the log of a snapshot.
std::vector<std::string> slices_at_begins(Repository& repository, const ArchiveId& archive,
                                          const std::vector<Snapshot>& snapshots) {
    std::set<std::pair<TimelineId, std::uint64_t>> begins;
    for (const Snapshot& snapshot : snapshots)
        if (snapshot.log && snapshot.log->archive == archive)
            begins.emplace(snapshot.log->range.branch, snapshot.log->range.begin);
    std::vector<std::string> names;
    for (const LogSliceId& slice : list_slices(repository.store(), archive)) {
        const auto at = begins.lower_bound({slice.range.branch, slice.range.begin});
        if (at != begins.end() && at->first == slice.range.branch && at->second < slice.range.end)
            names.push_back(slice.name());
    }
    return names;
}

// By the largest that any of them tells: a cluster may have had others before, and who can write slices can
// make one that tells of segments which are too small. One that he makes too large keeps more.
std::uint64_t unit_of(Repository& repository, const ArchiveId& id, const std::vector<Snapshot>& snapshots) {
    const postgres::WalArchive archive(repository.context(), id);
    std::mutex mutex;
    std::uint64_t largest = 0;
    const auto ask = [&](const std::string& name, const std::stop_token&) {
        const LogSliceId slice = LogSliceId::from_name(name).value();
        try {
            const std::uint64_t told = archive.details(slice).segment_bytes;
            const std::scoped_lock lock(mutex);
            largest = std::max(largest, told);
        } catch (const Error& error) {
            if (!archive.reader().is_refusal(slice, error)) throw;
        }
    };
    try {
        for_each_at_once(slices_at_begins(repository, id, snapshots), requests_at_once, {}, ask);
    } catch (const Error& error) {
        if (error.code() == ErrorCode::cancelled || error.retryable()) throw;
        return longest_segment_bytes;
    }
    return largest == 0 ? longest_segment_bytes : std::max(largest, least_segment_bytes);
}

LogUnits units_of(Repository& repository, const std::vector<Snapshot>& snapshots) {
    LogUnits units;
    for (const Snapshot& snapshot : snapshots) {
        if (snapshot.kind == postgres::snapshot_kind && snapshot.log &&
            !units.contains(snapshot.log->archive))
            units.emplace(snapshot.log->archive, unit_of(repository, snapshot.log->archive, snapshots));
    }
    return units;
}

// Where log is to go from between snapshots, all slices are asked anyway.
void raise_units(LogUnits& units, const SourceSnapshots& source) {
    std::set<std::shared_ptr<const RecoverySource>> logs;
    for (const SourceSnapshots::Stretch& stretch : source.stretches) logs.insert(stretch.log);
    for (const auto& log : logs) {
        const auto unit = units.find(log->archive);
        if (unit == units.end()) continue;
        if (log->fetch_details) log->fetch_details(log->slices);
        for (const LogSliceId& slice : log->slices)
            unit->second = std::max(unit->second, log->details(slice).segment_bytes);
    }
}

// An archive is of one source. Who says something else is not to be believed about what it needs.
std::set<ArchiveId> disputed_archives(const std::vector<Snapshot>& snapshots) {
    std::map<ArchiveId, const Snapshot*> owners;
    std::set<ArchiveId> disputed;
    for (const Snapshot& snapshot : snapshots) {
        if (!snapshot.log) continue;
        const Snapshot* const owner = owners.emplace(snapshot.log->archive, &snapshot).first->second;
        if (owner->source != snapshot.source || owner->domain != snapshot.domain)
            disputed.insert(snapshot.log->archive);
    }
    return disputed;
}

// By which policy log goes: of one that is declared and stated under the same name, that with the longer
// window. Whatever holdfast.toml lies where somebody types is less certain than what was stated.
Policy longer_window(Policy policy, const std::vector<StatedPolicy>& stated, Timestamp now) {
    const auto found =
        std::ranges::find(stated, policy.name, [](const StatedPolicy& one) { return one.policy.name; });
    if (found == stated.end() || !policy.retention.window) return policy;
    const RetentionPolicy& other = found->policy.retention;
    const auto last = [&](const RetentionPolicy& of) { return of.window->after(now, of.zone); };
    if (!other.window || last(policy.retention) < last(other)) policy.retention.window = other.window;
    return policy;
}

std::string log_of(const SourceSnapshots& source) {
    return fmt::format("the log between the snapshots of '{}'", source.source);
}

// Of what lies before the first snapshot nothing needs to be said.
bool is_behind_first(const SourceSnapshots& source, const ReleasedLog& released) {
    return std::ranges::any_of(source.snapshots, [&](const AnnotatedSnapshot& one) {
        return one.snapshot.log && one.snapshot.log->archive == released.log.archive &&
               one.snapshot.log->range.begin < released.position;
    });
}

void release_of_source(LogRelease& release, SourceSnapshots& source, const std::set<ArchiveId>& disputed,
                       const std::vector<StatedPolicy>& stated, Timestamp now) {
    if (!source.blocked.empty()) {
        release.problems.push_back(fmt::format("{}: {}", log_of(source), source.blocked));
        return;
    }
    const Policy policy = longer_window(*source.policy, stated, now);
    if (!policy.retention.window) {
        release.problems.push_back(
            fmt::format("{}: the policy '{}' has a window where it is declared, and none as it is stated in "
                        "the repository",
                        log_of(source), policy.name));
        return;
    }
    for (const ArchiveId& archive : disputed)
        source.staying_logs.emplace(archive, "snapshots of another source name it as theirs");
    std::set<ArchiveId> told;
    for (const SourceSnapshots::Stretch& stretch : source.stretches) {
        const auto why = source.staying_logs.find(stretch.log->archive);
        if (why != source.staying_logs.end() && told.insert(why->first).second)
            release.problems.push_back(fmt::format("{}: {}", log_of(source), why->second));
    }
    for (ReleasedLog& released : released_logs(source, policy, release.units, now))
        if (is_behind_first(source, released)) release.logs.push_back(std::move(released));
}

} // namespace

std::vector<ReleasedLog> released_logs(const SourceSnapshots& source, const Policy& policy,
                                       const LogUnits& units, Timestamp now) {
    std::vector<ReleasedLog> released;
    std::map<std::shared_ptr<const RecoverySource>, Needs> logs;
    for (const auto& [number, anchor] : window_beginnings(policy.retention, source.subjects, now)) {
        const SourceSnapshots::Stretch& stretch = source.stretches[number];
        add_need(logs[stretch.log], stretch.log->history_of(stretch.timeline),
                 need_of(source, number, anchor));
    }
    for (const auto& [log, needs] : logs) {
        const auto unit = units.find(log->archive);
        if (source.staying_logs.contains(log->archive) || unit == units.end()) continue;
        if (log->fetch_details) log->fetch_details(log->slices);
        for (const TimelineId timeline : log->timelines()) {
            const auto found = needs.find(timeline);
            const Need* const need = found == needs.end() ? nullptr : &found->second;
            const Lsn position =
                position_of(look_at(*log, timeline, policy.retention, now), need, unit->second);
            if (!position) continue;
            released.push_back({source.source,
                                policy.name,
                                policy.retention.window->text(),
                                {log->archive, timeline},
                                position.value,
                                need == nullptr ? std::nullopt : std::optional(need->from)});
        }
    }
    return released;
}

LogFloors LogRelease::floors() const {
    LogFloors floors;
    for (const ReleasedLog& released : logs) floors.emplace(released.log, released.position);
    return floors;
}

LogRelease log_release(Repository& repository, const std::vector<Policy>& declared,
                       const LogReleaseSettings& settings) {
    LogRelease release;
    const std::vector<Snapshot> snapshots = list_snapshots(repository.context()).snapshots;
    release.units = units_of(repository, snapshots);
    if (settings.keep_log || release.units.empty()) return release;
    const std::vector<StatedPolicy> stated = stated_policies(list_statements(repository.context())).policies;
    if (std::ranges::none_of(policies_in_force(declared, stated),
                             [](const Policy& policy) { return policy.retention.window.has_value(); }))
        return release;
    RetentionView view = view_retention(repository, declared, std::nullopt);
    std::erase_if(view.sources, [](const SourceSnapshots& source) {
        return source.policy == nullptr || !source.policy->retention.window || source.stretches.empty();
    });
    if (view.sources.empty() || !view.witness) return release;
    try {
        require_all_statements(view.statements);
        if (!settings.dry_run)
            require_believable_clock(repository, *view.witness, view.statements, settings.trust);
    } catch (const Error& error) {
        if (error.code() == ErrorCode::cancelled || error.retryable()) throw;
        release.problems.push_back(
            fmt::format("the log between snapshots, which policies would let go: {}", error.message()));
        return release;
    }
    const std::set<ArchiveId> disputed = disputed_archives(snapshots);
    const Timestamp now = repository.clock().now();
    for (const SourceSnapshots& source : view.sources) raise_units(release.units, source);
    for (SourceSnapshots& source : view.sources) release_of_source(release, source, disputed, stated, now);
    return release;
}

} // namespace holdfast
