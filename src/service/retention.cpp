#include "service/retention.h"

#include "base/error.h"
#include "postgres/recovery/recovery_source.h"
#include "postgres/recovery/recovery_window.h"
#include "service/clock_check.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include <fmt/format.h>

namespace holdfast {

namespace {

std::string hold_text(const Statement& hold) {
    return hold.value ? fmt::format("{} ({})", hold.name, *hold.value) : hold.name;
}

RetentionSubject subject_of(const AnnotatedSnapshot& annotated, std::vector<std::string>& problems) {
    const auto& [snapshot, standing] = annotated;
    RetentionSubject subject;
    subject.id = snapshot.id.hex();
    subject.time = snapshot.time;
    subject.end = snapshot.end;
    subject.complete = snapshot.state == SnapshotState::complete;
    subject.has_log = snapshot.log.has_value();
    if (!standing.verifications.empty()) subject.damaged = standing.verifications.back().value == "damaged";
    if (const auto found = standing.tags.find(class_tag); found != standing.tags.end())
        subject.class_name = found->second;
    for (const Statement& hold : standing.holds) subject.holds.push_back(hold_text(hold));
    const auto expires = standing.tags.find(expires_tag);
    if (expires == standing.tags.end()) return subject;
    try {
        subject.expires = from_rfc3339(expires->second);
    } catch (const Error& error) {
        const std::string problem =
            fmt::format("snapshot {}: its tag {} is no time: {}", subject.id, expires_tag, error.message());
        problems.push_back(problem);
        subject.holds.push_back(problem);
    }
    return subject;
}

// Marks the snapshots that the log does not reach from an earlier one.
void mark_gaps(Repository& repository, SourceSnapshots& source, std::vector<std::string>& problems) {
    if (std::ranges::none_of(source.snapshots,
                             [](const AnnotatedSnapshot& one) { return one.snapshot.log.has_value(); }))
        return;
    std::set<RunId> first_of_range;
    try {
        const auto recovery = postgres::load_recovery_source(repository, source.source);
        const postgres::RecoveryWindow window = postgres::recovery_window(recovery);
        for (const postgres::RecoverableRange& range : window.ranges)
            if (!range.snapshots.empty()) first_of_range.insert(range.snapshots.front());
        for (std::size_t i = 0; i < source.snapshots.size(); ++i)
            source.subjects[i].log_gap_before = first_of_range.contains(source.snapshots[i].snapshot.id);
    } catch (const Error& error) {
        if (error.code() == ErrorCode::cancelled || error.retryable()) throw;
        problems.push_back(
            fmt::format("the log of '{}' cannot be looked at, so all of its snapshots that have one "
                        "stay: {}",
                        source.source, error.message()));
        for (RetentionSubject& subject : source.subjects) subject.log_gap_before = true;
    }
}

// One that cannot be read may be a hold.
void require_all_statements(const StatementList& statements) {
    if (statements.unreadable > 0) {
        throw Error(
            ErrorCode::wrong_key,
            fmt::format("{} statements are not for this key, and each may be a hold", statements.unreadable),
            "apply the rules with a key slot of role full or prune");
    }
    if (!statements.problems.empty()) {
        throw Error(
            ErrorCode::corrupt,
            fmt::format("a statement does not count, and may have been a hold: {}",
                        statements.problems.front()),
            "nothing was deleted; find out what happened to it, and take the object away if nothing is "
            "held that should not go");
    }
}

} // namespace

std::size_t RetentionResult::forgotten() const {
    std::size_t count = 0;
    for (const Source& source : sources)
        count += static_cast<std::size_t>(std::ranges::count(source.verdicts, true, &Verdict::forgotten));
    return count;
}

RetentionView view_retention(Repository& repository, const std::vector<Policy>& policies,
                             const std::optional<std::string>& source) {
    RetentionView view;
    AnnotatedList list = list_annotated(repository);
    view.statements = std::move(list.statements);
    view.problems = std::move(list.problems);
    std::map<std::pair<std::string, std::string>, SourceSnapshots> sources;
    for (AnnotatedSnapshot& annotated : list.snapshots) {
        const Snapshot& snapshot = annotated.snapshot;
        if (source && snapshot.source != *source) continue;
        SourceSnapshots& of = sources[{snapshot.source, snapshot.domain}];
        of.source = snapshot.source;
        of.domain = snapshot.domain;
        of.subjects.push_back(subject_of(annotated, view.problems));
        of.snapshots.push_back(std::move(annotated));
    }
    if (source && sources.empty()) {
        throw Error(ErrorCode::not_found, fmt::format("there is no snapshot of a source '{}'", *source),
                    "'holdfast snapshots' lists those that there are");
    }
    for (auto& [name, of] : sources) {
        of.policy = policy_for(policies, of.source);
        if (of.policy != nullptr && of.policy->retention.window) mark_gaps(repository, of, view.problems);
        view.sources.push_back(std::move(of));
    }
    return view;
}

RetentionResult enforce_retention(Repository& repository, const std::vector<Policy>& policies,
                                  const std::optional<std::string>& source, bool dry_run,
                                  std::stop_token stop) {
    RetentionView view = view_retention(repository, policies, source);
    RetentionResult result;
    result.problems = std::move(view.problems);
    std::vector<Snapshot> all;
    for (const SourceSnapshots& of : view.sources)
        std::ranges::transform(of.snapshots, std::back_inserter(all), &AnnotatedSnapshot::snapshot);
    if (!dry_run) {
        require_all_statements(view.statements);
        require_believable_clock(repository, all);
    }
    const Timestamp now = repository.clock().now();
    for (SourceSnapshots& of : view.sources) {
        if (of.policy == nullptr) {
            result.uncovered.push_back(of.source);
            continue;
        }
        if (stop.stop_requested()) throw Error(ErrorCode::cancelled, "applying the rules was stopped");
        std::vector<RetentionDecision> decisions = decide_retention(of.policy->retention, of.subjects, now);
        std::set<RunId> going;
        RetentionResult::Source told{of.source, of.domain, of.policy->name, {}};
        for (std::size_t i = 0; i < decisions.size(); ++i) {
            const bool goes = !decisions[i].keep;
            if (goes) going.insert(of.snapshots[i].snapshot.id);
            told.verdicts.push_back({std::move(of.snapshots[i].snapshot), std::move(decisions[i]), goes});
        }
        // Looks again at holds, and at what else is left of the source.
        if (!dry_run && !going.empty()) forget_snapshots(repository.context(), going, false);
        result.sources.push_back(std::move(told));
    }
    return result;
}

} // namespace holdfast
