#include "service/retention.h"

#include "base/error.h"
#include "postgres/recovery/recovery_source.h"
#include "service/clock_check.h"
#include "service/log_stretches.h"

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
    subject.sequence = snapshot.sequence;
    subject.time = snapshot.time;
    subject.end = snapshot.end;
    subject.complete = snapshot.state == SnapshotState::complete;
    subject.damaged = is_damaged(standing);
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

// Every archive that a snapshot names: clusters may have been replaced.
void look_at_log(Repository& repository, SourceSnapshots& source) {
    // Only windows count from when snapshots ended.
    const bool with_times = source.policy != nullptr && source.policy->retention.window;
    std::set<ArchiveId> seen;
    for (const AnnotatedSnapshot& one : source.snapshots) {
        if (!one.snapshot.log || !seen.insert(one.snapshot.log->archive).second) continue;
        add_stretches(source,
                      std::make_shared<const postgres::RecoverySource>(
                          postgres::load_recovery_source(repository, source.source, one.snapshot.id)),
                      with_times);
    }
}

// Snapshots are made one after the other: when their times say otherwise, a clock was wrong, and ages are not
// known. Each is compared with all that were made before it.
void look_at_clocks(SourceSnapshots& source, Timestamp now) {
    std::vector<const RetentionSubject*> order;
    for (const RetentionSubject& subject : source.subjects) {
        order.push_back(&subject);
        if (subject.time > now + tolerated_clock_difference)
            source.blocked = fmt::format("snapshot {} is of {}, and it is {} here", subject.id,
                                         to_rfc3339(subject.time), to_rfc3339(now));
    }
    std::ranges::sort(order, [](const RetentionSubject* a, const RetentionSubject* b) {
        return std::pair(a->sequence, a->time) < std::pair(b->sequence, b->time);
    });
    const RetentionSubject* latest = nullptr;
    for (const RetentionSubject* subject : order) {
        // Two that were made at once have the same number.
        if (latest != nullptr && latest->sequence < subject->sequence &&
            latest->time > subject->time + tolerated_clock_difference)
            source.blocked =
                fmt::format("snapshot {} is of {}, and one that was made before it, {}, of {}: a clock was "
                            "wrong (forget the one whose time is)",
                            subject->id, to_rfc3339(subject->time), latest->id, to_rfc3339(latest->time));
        if (latest == nullptr || latest->time < subject->time) latest = subject;
    }
}

// The policy of the source, and whether anything speaks against going by it.
void choose_policy(Repository& repository, RetentionView& view, SourceSnapshots& source) {
    std::string blocked;
    try {
        source.policy = policy_for(view.policies, source.source);
    } catch (const Error& error) {
        blocked = error.message();
    }
    look_at_clocks(source, repository.clock().now());
    try {
        look_at_log(repository, source);
    } catch (const Error& error) {
        if (error.code() == ErrorCode::cancelled || error.retryable()) throw;
        source.blocked = fmt::format("its log cannot be looked at: {}", error.message());
    }
    if (!blocked.empty()) source.blocked = std::move(blocked);
    // Of what no policy covers nothing goes anyway.
    else if (source.policy == nullptr)
        source.blocked.clear();
    if (!source.blocked.empty())
        view.problems.push_back(fmt::format("nothing of '{}' may go: {}", source.source, source.blocked));
}

} // namespace

std::size_t RetentionResult::forgotten() const {
    std::size_t count = 0;
    for (const Source& source : sources)
        count += static_cast<std::size_t>(std::ranges::count(source.verdicts, true, &Verdict::forgotten));
    return count;
}

Schedule usual_enforcement() { return {CronExpression::parse("0 1 * * *"), TimeZone(), "retention"}; }

Forecast forecast_for(const Policy& policy, const std::string& source,
                      const std::vector<RetentionSubject>& subjects, Timestamp now, Timestamp horizon) {
    Forecast forecast{.backups = {},
                      .enforcement = usual_enforcement(),
                      .now = now,
                      .horizon = horizon,
                      .stretches_of_new_ones = {}};
    if (!subjects.empty()) forecast.stretches_of_new_ones = subjects.back().stretches;
    for (const BackupPlan& plan : policy.backups)
        forecast.backups.push_back({policy.schedule_of(plan, source), plan.class_name, plan.keep});
    return forecast;
}

RetentionView view_retention(Repository& repository, const std::vector<Policy>& declared,
                             const std::optional<std::string>& source) {
    RetentionView view;
    AnnotatedList list = list_annotated(repository);
    view.statements = std::move(list.statements);
    view.problems = list.problems;
    view.unread = std::move(list.problems);
    view.unreadable = list.unreadable;
    const StatedPolicies stated = stated_policies(view.statements);
    view.policies = policies_in_force(declared, stated.policies);
    for (const std::string& problem : stated.problems) {
        view.statements.damaged.push_back(problem);
        view.problems.push_back(problem);
    }
    if (view.statements.unreadable > 0) {
        view.problems.push_back(
            fmt::format("{} statements are not for this key; holds and policies may be among them",
                        view.statements.unreadable));
    }
    std::erase_if(view.statements.statements, [&](const Statement& statement) {
        return statement.type == StatementType::tag &&
               (statement.name == class_tag || statement.name == expires_tag) &&
               !repository.trust().may_write(statement.id.slot, ObjectKind::forget, RunId{});
    });
    std::map<std::pair<std::string, std::string>, SourceSnapshots> sources;
    for (AnnotatedSnapshot& annotated : list.snapshots) {
        const Snapshot& snapshot = annotated.snapshot;
        if (source && snapshot.source != *source) continue;
        annotated.standing = standing_of(snapshot, view.statements.statements);
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
        choose_policy(repository, view, of);
        view.sources.push_back(std::move(of));
    }
    return view;
}

RetentionResult enforce_retention(Repository& repository, const std::vector<Policy>& declared,
                                  const EnforceSettings& settings, std::stop_token stop) {
    if (!settings.dry_run &&
        !repository.trust().may_write(repository.keys().slot(), ObjectKind::forget, RunId{})) {
        throw Error(ErrorCode::access_denied, "this key may not forget snapshots",
                    "use a key of role full or prune");
    }
    RetentionView view = view_retention(repository, declared, settings.source);
    RetentionResult result;
    result.policies = view.policies.size();
    result.problems = std::move(view.problems);
    const Timestamp now = repository.clock().now();
    if (!settings.dry_run && !view.sources.empty()) {
        require_all_statements(view.statements);
        Timestamp newest{};
        for (const SourceSnapshots& of : view.sources)
            for (const RetentionSubject& subject : of.subjects) newest = std::max(newest, subject.time);
        require_believable_clock(repository, newest, settings.trust_clock);
    }
    for (SourceSnapshots& of : view.sources) {
        if (of.policy == nullptr) {
            result.uncovered.push_back(of.source);
            continue;
        }
        if (stop.stop_requested()) throw Error(ErrorCode::cancelled, "applying the rules was stopped");
        std::vector<RetentionDecision> decisions = decide_retention(of.policy->retention, of.subjects, now);
        std::set<RunId> going;
        RetentionResult::Source told{of.source, of.domain, of.policy->name, of.blocked, {}};
        for (std::size_t i = 0; i < decisions.size(); ++i) {
            const bool goes = of.blocked.empty() && !decisions[i].keep;
            if (goes) going.insert(of.snapshots[i].snapshot.id);
            told.verdicts.push_back({std::move(of.snapshots[i].snapshot), std::move(decisions[i]), goes});
        }
        try {
            // Looks again at holds, and at what else is left of the source.
            if (!settings.dry_run && !going.empty()) forget_snapshots(repository.context(), going, false);
        } catch (const Error& error) {
            if (error.code() == ErrorCode::cancelled) throw;
            told.blocked = error.message();
            for (RetentionResult::Verdict& verdict : told.verdicts) verdict.forgotten = false;
            result.problems.push_back(
                fmt::format("of '{}' not all was forgotten: {}", of.source, error.message()));
        }
        result.sources.push_back(std::move(told));
    }
    return result;
}

} // namespace holdfast
