#include "policy/retention_decision.h"

#include <algorithm>
#include <array>
#include <map>
#include <numeric>
#include <string_view>
#include <tuple>

#include <fmt/chrono.h>
#include <fmt/format.h>

namespace holdfast {

namespace {

using std::chrono::days;

bool made_for_a_reason(const std::string& class_name) {
    return class_name == class_manual || class_name == class_pre_maintenance || class_name == class_forensic;
}

// One kind of bucket: how long it keeps, and which bucket a local time is in.
struct Bucket {
    const char* name;
    std::optional<KeepFor> RetentionRules::* keep;
    LocalTime (*begin)(LocalTime);
    const char* label; // of the beginning, for strftime
};

LocalTime day_of(LocalTime time) { return std::chrono::floor<days>(time); }
std::chrono::year_month_day date_of(LocalTime time) {
    return std::chrono::year_month_day{std::chrono::floor<days>(time)};
}

constexpr std::array<Bucket, 5> buckets{{
    {"hourly", &RetentionRules::hourly,
     [](LocalTime t) -> LocalTime { return std::chrono::floor<std::chrono::hours>(t); }, "%Y-%m-%d %H:00"},
    {"daily", &RetentionRules::daily, day_of, "%Y-%m-%d"},
    {"weekly", &RetentionRules::weekly,
     [](LocalTime t) -> LocalTime {
         const auto day = std::chrono::floor<days>(t);
         return day - (std::chrono::weekday{day} - std::chrono::Monday);
     },
     "the week of %Y-%m-%d"},
    {"monthly", &RetentionRules::monthly,
     [](LocalTime t) -> LocalTime {
         const auto date = date_of(t);
         return std::chrono::local_days{date.year() / date.month() / 1};
     },
     "%Y-%m"},
    {"yearly", &RetentionRules::yearly,
     [](LocalTime t) -> LocalTime { return std::chrono::local_days{date_of(t).year() / 1 / 1}; }, "%Y"},
}};

std::string label_of(const Bucket& bucket, LocalTime begin) {
    const auto seconds = begin.time_since_epoch().count();
    return fmt::format(fmt::runtime(fmt::format("{{:{}}}", bucket.label)),
                       fmt::gmtime(static_cast<std::time_t>(seconds)));
}

std::string text_of(const KeepFor& keep) {
    if (const auto* count = std::get_if<std::uint32_t>(&keep)) return fmt::format("the last {}", *count);
    return std::get<Period>(keep).text();
}

// Whether the window begins at `time` or behind it.
bool is_over(const RetentionPolicy& policy, Timestamp time, Timestamp now) {
    return policy.window->after(time, policy.zone) <= now;
}

bool may_begin_window(const RetentionSubject& snapshot) { return snapshot.good() && !snapshot.expires; }

class Decider {
  public:
    Decider(const RetentionPolicy& policy, const std::vector<RetentionSubject>& snapshots, Timestamp now)
        : policy_(policy), snapshots_(snapshots), now_(now), decisions_(snapshots.size()) {
        newest_first_.resize(snapshots.size());
        std::iota(newest_first_.begin(), newest_first_.end(), std::size_t{0});
        std::ranges::sort(newest_first_, std::greater{}, [&](std::size_t i) {
            return std::tuple(snapshots[i].time, snapshots[i].end, snapshots[i].id);
        });
        for (const RetentionSubject& snapshot : snapshots_)
            local_.push_back(policy_.zone.local(snapshot.time));
    }

    std::vector<RetentionDecision> decide() {
        apply_rules();
        for (std::size_t i = 0; i < snapshots_.size(); ++i) apply_time_to_live(i);
        keep_window();
        keep_newest();
        for (std::size_t i = 0; i < snapshots_.size(); ++i)
            for (const std::string& hold : snapshots_[i].holds) keep(i, fmt::format("held: {}", hold));
        for (std::size_t i = 0; i < snapshots_.size(); ++i) {
            if (decisions_[i].reasons.empty()) decisions_[i].reasons.push_back(why_not(snapshots_[i]));
        }
        return std::move(decisions_);
    }

  private:
    void keep(std::size_t i, std::string reason) {
        decisions_[i].keep = true;
        decisions_[i].reasons.push_back(std::move(reason));
    }

    void apply_rules() {
        std::map<const RetentionRules*, std::vector<std::size_t>> governed; // newest first
        for (const std::size_t i : newest_first_) {
            if (snapshots_[i].expires) continue;
            const std::string& class_name = snapshots_[i].class_name;
            const auto own = policy_.classes.find(class_name);
            if (own != policy_.classes.end()) {
                governed[&own->second].push_back(i);
            } else if (made_for_a_reason(class_name)) {
                keep(i, fmt::format("{}, and there are no rules for that class", class_name));
            } else {
                governed[&policy_.rules].push_back(i);
            }
        }
        for (const auto& [rules, members] : governed) {
            if (rules->empty()) {
                // A window says what stays of those that have a log.
                const bool window_decides = rules == &policy_.rules && policy_.window;
                for (const std::size_t i : members)
                    if (!window_decides || snapshots_[i].stretches.empty())
                        keep(i, "there are no rules for it");
                continue;
            }
            keep_last(*rules, members);
            keep_within(*rules, members);
            for (const Bucket& bucket : buckets)
                if (const auto& wanted = rules->*bucket.keep) keep_buckets(bucket, *wanted, members);
        }
    }

    void keep_last(const RetentionRules& rules, const std::vector<std::size_t>& members) {
        if (!rules.last) return;
        std::uint32_t kept = 0;
        for (const std::size_t i : members) {
            if (kept == *rules.last) return;
            if (standing(i) == 0) continue;
            keep(i, fmt::format("one of the last {}", *rules.last));
            ++kept;
        }
    }

    void keep_within(const RetentionRules& rules, const std::vector<std::size_t>& members) {
        if (!rules.within) return;
        for (const std::size_t i : members) {
            if (rules.within->after(snapshots_[i].time, policy_.zone) > now_)
                keep(i, fmt::format("within {}", rules.within->text()));
        }
    }

    int standing(std::size_t i) const {
        if (snapshots_[i].good()) return 2;
        return snapshots_[i].damaged || !snapshots_[i].restorable ? 0 : 1;
    }

    void keep_buckets(const Bucket& bucket, const KeepFor& wanted, const std::vector<std::size_t>& members) {
        std::map<LocalTime, std::size_t, std::greater<>> chosen;
        for (const std::size_t i : members) {
            const auto [known, first] = chosen.emplace(bucket.begin(local_[i]), i);
            if (!first && standing(i) > standing(known->second)) known->second = i;
        }
        const auto* count = std::get_if<std::uint32_t>(&wanted);
        std::uint32_t kept = 0;
        for (const auto& [begin, i] : chosen) {
            if (count != nullptr && kept == *count) return;
            if (count == nullptr && std::get<Period>(wanted).after(snapshots_[i].time, policy_.zone) <= now_)
                continue;
            keep(i, fmt::format("{}, {}: that of {}", bucket.name, text_of(wanted), label_of(bucket, begin)));
            if (standing(i) > 0) ++kept;
        }
    }

    void apply_time_to_live(std::size_t i) {
        const auto& expires = snapshots_[i].expires;
        if (expires && *expires > now_) keep(i, fmt::format("to live until {}", to_rfc3339(*expires)));
    }

    void keep_window() {
        if (!policy_.window) return;
        const auto beginnings = window_beginnings(policy_, snapshots_, now_);
        std::map<std::size_t, std::size_t> first; // that can carry its stretch
        std::map<LocalTime, std::size_t> days_within;
        for (const std::size_t i : newest_first_) {
            const RetentionSubject& snapshot = snapshots_[i];
            if (!may_begin_window(snapshot)) continue;
            for (const RetentionSubject::Stretch& stretch : snapshot.stretches) {
                if (!beginnings.contains(stretch.number)) continue;
                first[stretch.number] = i;
                if (!is_over(policy_, snapshot.end, now_)) days_within.emplace(day_of(local_[i]), i);
            }
        }
        const std::string window = policy_.window->text();
        for (const auto& [number, i] : first)
            keep(beginnings.at(number).value_or(i), fmt::format("the window of {} begins with it", window));
        for (const auto& [day, i] : days_within)
            keep(i, fmt::format("that of a day within the window of {}", window));
    }

    void keep_newest() {
        if (newest_first_.empty()) return;
        std::vector<std::size_t> order(newest_first_);
        std::ranges::stable_sort(order, std::greater{},
                                 [&](std::size_t i) { return snapshots_[i].sequence; });
        const std::size_t newest = order.front();
        const auto good = std::ranges::find_if(order, [&](std::size_t i) { return snapshots_[i].good(); });
        const bool newest_is_good = good != order.end() && *good == newest;
        if (!newest_is_good) keep(newest, "the newest");
        if (good != order.end()) keep(*good, newest_is_good ? "the newest" : "the newest good one");
    }

    std::string why_not(const RetentionSubject& snapshot) const {
        if (snapshot.expires) return fmt::format("its time to live ended {}", to_rfc3339(*snapshot.expires));
        if (policy_.classes.contains(snapshot.class_name))
            return fmt::format("no rule for {} keeps it", snapshot.class_name);
        return "no rule keeps it";
    }

    const RetentionPolicy& policy_;
    const std::vector<RetentionSubject>& snapshots_;
    Timestamp now_;
    std::vector<RetentionDecision> decisions_;
    std::vector<std::size_t> newest_first_;
    std::vector<LocalTime> local_;
};

} // namespace

std::vector<RetentionDecision> decide_retention(const RetentionPolicy& policy,
                                                const std::vector<RetentionSubject>& snapshots,
                                                Timestamp now) {
    return Decider(policy, snapshots, now).decide();
}

std::map<std::size_t, std::optional<std::size_t>>
window_beginnings(const RetentionPolicy& policy, const std::vector<RetentionSubject>& snapshots,
                  Timestamp now) {
    std::map<std::size_t, std::optional<std::size_t>> beginnings;
    if (!policy.window) return beginnings;
    const auto age = [&](std::size_t i) {
        return std::tuple(snapshots[i].time, snapshots[i].end, std::string_view(snapshots[i].id));
    };
    for (std::size_t i = 0; i < snapshots.size(); ++i) {
        const RetentionSubject& snapshot = snapshots[i];
        for (const RetentionSubject::Stretch& stretch : snapshot.stretches) {
            if (stretch.until && is_over(policy, *stretch.until, now)) continue;
            std::optional<std::size_t>& beginning = beginnings[stretch.number];
            if (!may_begin_window(snapshot) || !is_over(policy, snapshot.end, now)) continue;
            if (!beginning || age(*beginning) < age(i)) beginning = i;
        }
    }
    return beginnings;
}

} // namespace holdfast
