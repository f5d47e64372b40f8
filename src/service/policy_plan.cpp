#include "service/policy_plan.h"

#include "policy/policy_form.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace holdfast {

namespace {

constexpr std::size_t most_losses_told = 5;

// Without a policy everything stays.
std::vector<Fate> fates_under(const Policy* policy, const RetentionSource& source,
                              const PolicyPlanSettings& settings, const std::stop_token& stop) {
    if (policy == nullptr) {
        Fate stays;
        stays.reasons = {"no policy covers it"};
        return std::vector<Fate>(source.subjects.size(), stays);
    }
    return forecast_retention(
        policy->retention, source.subjects,
        forecast_for(*policy, source.source, source.subjects, settings.now, settings.horizon), stop);
}

std::vector<std::string> why(const Fate& fate) {
    std::vector<std::string> reasons = fate.reasons;
    if (fate.last_reasons.empty() || fate.last_reasons == fate.reasons) return reasons;
    reasons.push_back(fmt::format("last: {}", fmt::join(fate.last_reasons, "; ")));
    return reasons;
}

bool same(const Policy* before, const Policy* after) {
    if (before == nullptr || after == nullptr) return before == after;
    return policy_json(*before) == policy_json(*after);
}

// How many of the source stay now under one policy and would go at once under the other.
std::size_t going_now(const Policy* before, const Policy* after, const RetentionSource& source,
                      Timestamp now) {
    if (after == nullptr) return 0;
    const auto decisions = decide_retention(after->retention, source.subjects, now);
    std::vector<RetentionDecision> then(decisions.size(), RetentionDecision{.keep = true, .reasons = {}});
    if (before != nullptr) then = decide_retention(before->retention, source.subjects, now);
    std::size_t count = 0;
    for (std::size_t i = 0; i < decisions.size(); ++i)
        if (then[i].keep && !decisions[i].keep) ++count;
    return count;
}

void compare(const RetentionSource& source, const std::vector<Fate>& before, const std::vector<Fate>& after,
             Timestamp now, PolicyPlan& plan) {
    for (std::size_t i = 0; i < source.subjects.size(); ++i) {
        const Fate &then = before[i], &will = after[i];
        if (then.goes == will.goes) continue;
        const RetentionSubject& subject = source.subjects[i];
        PolicyPlan::Effect effect{.source = source.source,
                                  .domain = source.domain,
                                  .snapshot = subject.id,
                                  .time = subject.time,
                                  .before = then.goes,
                                  .after = will.goes,
                                  .why_before = why(then),
                                  .why_after = why(will),
                                  .goes_now = will.goes && *will.goes <= now};
        const bool sooner = will.goes && (!then.goes || *will.goes < *then.goes);
        (sooner ? plan.sooner : plan.later).push_back(std::move(effect));
    }
}

} // namespace

PolicyPlan plan_policies(const std::vector<Policy>& before, const std::vector<Policy>& after,
                         const std::vector<RetentionSource>& stored, const PolicyPlanSettings& settings,
                         const std::stop_token& stop) {
    PolicyPlan plan{.policies = policy_changes(before, after),
                    .sooner = {},
                    .later = {},
                    .backups = backup_changes(before, after, settings.sources, settings.now, settings.runs),
                    .losses = policy_losses(before, after, stored, {}, settings.now)};
    for (const RetentionSource& source : stored) {
        const Policy* then = clear_policy_for(before, source.source);
        const Policy* will = clear_policy_for(after, source.source);
        if (same(then, will)) continue;
        compare(source, fates_under(then, source, settings, stop), fates_under(will, source, settings, stop),
                settings.now, plan);
    }
    return plan;
}

std::vector<std::string> policy_losses(const std::vector<Policy>& before, const std::vector<Policy>& after,
                                       const std::vector<RetentionSource>& stored,
                                       const std::vector<std::string>& others, Timestamp now) {
    std::vector<std::string> losses;
    const auto compare_rules = [&](const std::string& source, const Policy* then, const Policy* will) {
        for (const std::string& reason : keeps_less(then, will))
            losses.push_back(fmt::format("{}: {}", source, reason));
    };
    for (const RetentionSource& source : stored) {
        const Policy* then = clear_policy_for(before, source.source);
        const Policy* will = clear_policy_for(after, source.source);
        if (source.subjects.empty() || same(then, will)) continue;
        compare_rules(source.source, then, will);
        if (const std::size_t count = going_now(then, will, source, now); count > 0)
            losses.push_back(fmt::format("{}: {} of {} snapshots would go at once", source.source, count,
                                         source.subjects.size()));
    }
    for (const std::string& name : others) {
        const bool known =
            std::ranges::any_of(stored, [&](const RetentionSource& one) { return one.source == name; });
        if (!known) compare_rules(name, clear_policy_for(before, name), clear_policy_for(after, name));
    }
    return losses;
}

std::string losses_text(const std::vector<std::string>& losses) {
    std::string text;
    for (std::size_t i = 0; i < std::min(losses.size(), most_losses_told); ++i)
        text += (i == 0 ? "" : "; ") + losses[i];
    if (losses.size() > most_losses_told)
        text += fmt::format("; and {} more", losses.size() - most_losses_told);
    return text;
}

} // namespace holdfast
