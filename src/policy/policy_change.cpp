#include "policy/policy_change.h"

#include "base/error.h"
#include "policy/policy_form.h"

#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>

namespace holdfast {

namespace {

std::string text_of(const std::optional<KeepFor>& keep) {
    if (!keep) return "none";
    if (const auto* count = std::get_if<std::uint32_t>(&*keep)) return fmt::format("{}", *count);
    return std::get<Period>(*keep).text();
}

// What a month is is told by the calendar: two lengths are compared at their longest and at their shortest.
bool is_shorter(const Period& after, const Period& before) {
    const auto shortest = [](const Period& period) {
        return std::chrono::days(28) * period.months + std::chrono::seconds(period.seconds);
    };
    return after != before && (after.longest() < before.longest() || shortest(after) < shortest(before));
}

bool is_less(const std::optional<KeepFor>& after, const std::optional<KeepFor>& before) {
    if (!before || after == before) return false;
    if (!after || after->index() != before->index()) return true;
    if (const auto* count = std::get_if<std::uint32_t>(&*after)) return *count < std::get<0>(*before);
    return is_shorter(std::get<Period>(*after), std::get<Period>(*before));
}

class Comparison {
  public:
    explicit Comparison(std::vector<std::string>& reasons) : reasons_(reasons) {}

    void retention(const RetentionPolicy& before, const RetentionPolicy& after) {
        period("window", before.window, after.window, all_stay(after));
        // Without one the log is kept from the oldest snapshot on.
        if (after.window && !before.window && !all_stay(before))
            reasons_.push_back(
                fmt::format("window: {}, and the log of all snapshots before", after.window->text()));
        rules("", of_class(before, ""), of_class(after, ""), all_stay(before), all_stay(after));
        std::set<std::string> classes;
        for (const auto* policy : {&before, &after})
            for (const auto& [name, of_it] : policy->classes) classes.insert(name);
        for (const std::string& name : classes) {
            const RetentionRules* own_before = of_class(before, name);
            const RetentionRules* own_after = of_class(after, name);
            rules(fmt::format("class {}: ", name), own_before, own_after, class_stays(before, own_before),
                  class_stays(after, own_after));
        }
        if (before.zone.name() != after.zone.name() && has_buckets(before) && !all_stay(after))
            reasons_.push_back(fmt::format("days begin elsewhere: the time zone {} was {}", after.zone.name(),
                                           before.zone.name()));
    }

    void plans(const Policy& before, const Policy& after) {
        for (const BackupPlan& plan : after.backups) {
            const auto old = std::ranges::find(before.backups, plan.name, &BackupPlan::name);
            if (old == before.backups.end()) continue;
            if (plan.keep && (!old->keep || is_shorter(*plan.keep, *old->keep)))
                reasons_.push_back(fmt::format("backups '{}' live {}, and {} before", plan.name,
                                               plan.keep->text(),
                                               old->keep ? old->keep->text() : "as long as rules said"));
            if (plan.class_name != old->class_name)
                reasons_.push_back(fmt::format("backups '{}' are of another class", plan.name));
        }
    }

  private:
    static bool all_stay(const RetentionPolicy& policy) { return policy.rules.empty() && !policy.window; }

    // The rules for a class; null: what is of it was made for a reason, and stays.
    static const RetentionRules* of_class(const RetentionPolicy& policy, const std::string& name) {
        const auto own = policy.classes.find(name);
        if (own != policy.classes.end()) return &own->second;
        const bool reason = name == class_manual || name == class_pre_maintenance || name == class_forensic;
        return reason ? nullptr : &policy.rules;
    }
    // Of rules for all others a window may decide where there are none.
    static bool class_stays(const RetentionPolicy& policy, const RetentionRules* rules) {
        return rules == nullptr || (rules == &policy.rules ? all_stay(policy) : rules->empty());
    }
    static bool has_buckets(const RetentionPolicy& policy) {
        const auto bucketed = [](const RetentionRules& rules) {
            return rules.hourly || rules.daily || rules.weekly || rules.monthly || rules.yearly;
        };
        return bucketed(policy.rules) || policy.window ||
               std::ranges::any_of(policy.classes, [&](const auto& each) { return bucketed(each.second); });
    }

    void rules(const std::string& where, const RetentionRules* before, const RetentionRules* after,
               bool all_stayed, bool all_will_stay) {
        if (all_will_stay) return;
        if (all_stayed) {
            reasons_.push_back(where + "all stayed, and now rules say what does");
            return;
        }
        // Without rules of its own a window lets go of what has a log alone.
        if (before->empty() != after->empty() && before->empty())
            reasons_.push_back(where + "what has no log stayed, and now rules say what does");
        const auto keep = [&](const char* rule, const std::optional<KeepFor>& now,
                              const std::optional<KeepFor>& then) {
            if (is_less(now, then))
                reasons_.push_back(
                    fmt::format("{}{}: {}, and {} before", where, rule, text_of(now), text_of(then)));
        };
        if (before->last.value_or(0) > after->last.value_or(0))
            reasons_.push_back(fmt::format("{}last: {}, and {} before", where,
                                           after->last ? fmt::format("{}", *after->last) : "none",
                                           *before->last));
        period((where + "within").c_str(), before->within, after->within, false);
        keep("hourly", after->hourly, before->hourly);
        keep("daily", after->daily, before->daily);
        keep("weekly", after->weekly, before->weekly);
        keep("monthly", after->monthly, before->monthly);
        keep("yearly", after->yearly, before->yearly);
    }

    void period(const char* rule, const std::optional<Period>& before, const std::optional<Period>& after,
                bool all_will_stay) {
        if (!before || all_will_stay || (after && !is_shorter(*after, *before))) return;
        reasons_.push_back(
            fmt::format("{}: {}, and {} before", rule, after ? after->text() : "none", before->text()));
    }

    std::vector<std::string>& reasons_;
};

// A plan and the policy that it is of.
struct Planned {
    const Policy* policy;
    const BackupPlan* plan;
};

std::map<std::string, Planned> plans_for(const std::vector<Policy>& policies, const std::string& source) {
    std::map<std::string, Planned> plans;
    if (const Policy* policy = clear_policy_for(policies, source))
        for (const BackupPlan& plan : policy->backups) plans.emplace(plan.name, Planned{policy, &plan});
    return plans;
}

} // namespace

std::vector<std::string> keeps_less(const Policy* before, const Policy* after) {
    std::vector<std::string> reasons;
    if (after == nullptr) return reasons;
    static const RetentionPolicy nothing_goes;
    Comparison comparison(reasons);
    comparison.retention(before == nullptr ? nothing_goes : before->retention, after->retention);
    if (before != nullptr) comparison.plans(*before, *after);
    return reasons;
}

std::string_view to_string(PolicyChangeKind kind) {
    switch (kind) {
    case PolicyChangeKind::added:
        return "added";
    case PolicyChangeKind::changed:
        return "changed";
    case PolicyChangeKind::removed:
        return "removed";
    }
    return "";
}

std::vector<PolicyChange> policy_changes(const std::vector<Policy>& before,
                                         const std::vector<Policy>& after) {
    std::map<std::string, std::pair<std::string, std::string>> texts; // by name: before, after
    for (const Policy& policy : before) texts[policy.name].first = policy_json(policy);
    for (const Policy& policy : after) texts[policy.name].second = policy_json(policy);
    std::vector<PolicyChange> changes;
    for (const auto& [name, text] : texts) {
        if (text.first == text.second) continue;
        changes.push_back({name, text.first.empty()    ? PolicyChangeKind::added
                                 : text.second.empty() ? PolicyChangeKind::removed
                                                       : PolicyChangeKind::changed});
    }
    return changes;
}

std::vector<BackupChange> backup_changes(const std::vector<Policy>& before, const std::vector<Policy>& after,
                                         const std::vector<std::string>& sources, Timestamp from,
                                         std::size_t runs) {
    std::vector<BackupChange> changes;
    for (const std::string& source : sources) {
        const auto old = plans_for(before, source), now = plans_for(after, source);
        std::set<std::string> names;
        for (const auto* plans : {&old, &now})
            for (const auto& [name, planned] : *plans) names.insert(name);
        for (const std::string& name : names) {
            BackupChange change{.source = source, .plan = name, .before = {}, .after = {}};
            const auto runs_of = [&](const std::map<std::string, Planned>& plans) {
                const auto found = plans.find(name);
                if (found == plans.end()) return std::vector<Schedule::Run>{};
                const auto& [policy, plan] = found->second;
                return coming_runs(policy->schedule_of(*plan, source), from, runs);
            };
            change.before = runs_of(old);
            change.after = runs_of(now);
            if (!old.contains(name)) {
                change.kind = PolicyChangeKind::added;
            } else if (!now.contains(name)) {
                change.kind = PolicyChangeKind::removed;
            } else {
                const BackupPlan &then = *old.at(name).plan, &plan = *now.at(name).plan;
                if (change.before == change.after && then.type == plan.type &&
                    then.class_name == plan.class_name && then.keep == plan.keep)
                    continue;
            }
            changes.push_back(std::move(change));
        }
    }
    return changes;
}

std::vector<Schedule::Run> coming_runs(const Schedule& schedule, Timestamp from, std::size_t count) {
    std::vector<Schedule::Run> runs;
    while (runs.size() < count) {
        const auto run = schedule.next(runs.empty() ? from : runs.back().nominal);
        if (!run) break;
        runs.push_back(*run);
    }
    return runs;
}

const Policy* clear_policy_for(const std::vector<Policy>& policies, std::string_view source) {
    try {
        return policy_for(policies, source);
    } catch (const Error&) {
        return nullptr;
    }
}

} // namespace holdfast
