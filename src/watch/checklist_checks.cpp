#include "watch/checklist_checks.h"

#include <algorithm>
#include <initializer_list>
#include <ranges>

#include <fmt/format.h>

namespace holdfast {

namespace {

std::string time_text(Timestamp time) { return to_rfc3339(std::chrono::floor<std::chrono::seconds>(time)); }

// Of many, how many are as they should be; and which is not.
class Tally {
  public:
    explicit Tally(std::string_view things) : things_(things) {}

    void add(const std::string& name, const CheckFinding& finding) {
        ++all_;
        if (finding.verdict == Verdict::clear) {
            ++well_;
        } else if (problem_.empty() || (finding.verdict == Verdict::breach && verdict_ != Verdict::breach)) {
            problem_ = fmt::format("{}: {}", name, finding.text);
            verdict_ = finding.verdict;
        }
    }
    std::size_t all() const { return all_; }
    // `also` is what there is to say when all are.
    CheckFinding finding(const std::string& also = {}) const {
        const std::string& more = well_ == all_ ? also : problem_;
        return {verdict_,
                fmt::format("{} of {} {}{}{}", well_, all_, things_, more.empty() ? "" : "; ", more)};
    }

  private:
    std::string_view things_;
    std::size_t all_ = 0, well_ = 0;
    Verdict verdict_ = Verdict::clear;
    std::string problem_;
};

CheckFinding not_known() { return {Verdict::unknown, "the repository could not be asked"}; }

auto protected_sources(const Facts& facts) {
    return facts.sources | std::views::filter(&SourceFacts::backups_expected);
}

// A backup of this period; where the policy lets them be older than the period is long, one that will not be
// older by its end.
CheckFinding backup_of(const SourceFacts& source, const ChecklistEvidence& evidence, Timestamp& oldest) {
    if (!source.known) return not_known();
    Timestamp since = evidence.period.begin;
    if (const auto& age = source.objectives.backup_age)
        since = std::min(since, evidence.period.end - age->longest());
    for (const BackupFacts& backup : std::views::reverse(source.backups)) {
        // One of times to come says nothing.
        if (!backup.good || backup.time > evidence.facts.at) continue;
        if (backup.time < since) break;
        oldest = std::min(oldest, backup.time);
        return {.verdict = Verdict::clear};
    }
    return {Verdict::breach, "no good backup since " + time_text(since)};
}

CheckFinding backups(const ChecklistEvidence& evidence) {
    Tally tally("sources");
    Timestamp oldest = evidence.facts.at;
    for (const SourceFacts& source : protected_sources(evidence.facts))
        tally.add(source.source, backup_of(source, evidence, oldest));
    if (tally.all() == 0) return {Verdict::unknown, "there is no source"};
    return tally.finding("the oldest backup is from " + time_text(oldest));
}

CheckFinding verification_of(const SourceFacts& source, const TimeSpan& period) {
    if (!source.known) return not_known();
    if (!source.verification) return {Verdict::breach, "was never verified"};
    if (!source.verification->good) return {Verdict::breach, "is damaged"};
    if (source.verification->time < period.begin)
        return {Verdict::breach, "was last verified " + time_text(source.verification->time)};
    return {.verdict = Verdict::clear};
}

// Also of sources that are not protected any more: what there is of them is to be good.
CheckFinding verification(const ChecklistEvidence& evidence) {
    Tally tally("sources with backups");
    for (const SourceFacts& source : evidence.facts.sources)
        if (!source.known || !source.backups.empty())
            tally.add(source.source, verification_of(source, evidence.period));
    if (tally.all() == 0) return {Verdict::unknown, "there is no backup"};
    return tally.finding();
}

// An operation of this server that succeeded within the period.
CheckFinding succeeded(const ChecklistEvidence& evidence, std::initializer_list<const char*> kinds) {
    std::optional<Timestamp> last;
    for (const char* kind : kinds)
        if (const auto at = evidence.last_success.find(kind); at != evidence.last_success.end())
            last = std::max(last.value_or(at->second), at->second);
    if (!last) return {Verdict::breach, "never, as far as this server knows"};
    return {*last >= evidence.period.begin ? Verdict::clear : Verdict::breach,
            fmt::format("last done by this server {}", time_text(*last))};
}

CheckFinding audit(const ChecklistEvidence& evidence) {
    const auto& trail = evidence.trail;
    if (!trail || trail->at < evidence.period.begin)
        return {Verdict::unknown, "the trail was not verified in this period yet"};
    if (!trail->intact) return {Verdict::breach, "the trail is not as it was written"};
    if (trail->other_trails > 0)
        return {Verdict::breach,
                fmt::format("the repository has heads of {} other trails", trail->other_trails)};
    if (trail->heads == 0) return {Verdict::unknown, "the repository has no head of the trail yet"};
    return {Verdict::clear, fmt::format("{} entries fit {} heads, looked at {}", trail->entries, trail->heads,
                                        time_text(trail->at))};
}

// What rules say of now, whether or not they tell anybody: one judgement for each subject, the worst.
std::map<std::string, CheckFinding> judged(const ChecklistEvidence& evidence,
                                           std::initializer_list<std::string_view> rules) {
    auto settings = evidence.rules.settings();
    for (auto& [name, rule] : settings) rule.off = false;
    std::map<std::string, CheckFinding> findings;
    for (const Judgement& judgement : judge(evidence.facts, RuleBook(settings))) {
        if (std::ranges::find(rules, judgement.rule->name) == rules.end()) continue;
        CheckFinding finding{judgement.verdict, judgement.summary};
        if (finding.verdict == Verdict::between) finding.verdict = Verdict::breach;
        if (finding.verdict == Verdict::unknown)
            finding.text = fmt::format("the rule {} has nothing to go by", judgement.rule->name);
        const auto [at, is_new] = findings.try_emplace(judgement.subject, finding);
        if (is_new || finding.verdict == Verdict::clear || at->second.verdict == Verdict::breach) continue;
        at->second = finding;
    }
    return findings;
}

CheckFinding by_rules(const ChecklistEvidence& evidence, std::string_view things,
                      std::initializer_list<std::string_view> rules) {
    Tally tally(things);
    for (const auto& [subject, finding] : judged(evidence, rules)) tally.add(subject, finding);
    if (tally.all() == 0) return {Verdict::unknown, fmt::format("0 {}", things)};
    return tally.finding();
}

// As by_rules(), of those protected sources that it applies to. That it applies to none is something to know
// as well, when each was asked.
template <typename Applies, typename IsKnown>
CheckFinding by_rules_of_sources(const ChecklistEvidence& evidence, std::string_view things,
                                 std::initializer_list<std::string_view> rules, Applies applies,
                                 IsKnown is_known) {
    auto findings = judged(evidence, rules);
    Tally tally(things);
    std::size_t sources = 0;
    for (const SourceFacts& source : protected_sources(evidence.facts)) {
        ++sources;
        if (!source.known) {
            tally.add(source.source, not_known());
        } else if (applies(source)) {
            tally.add(source.source, is_known(source) ? findings[source.source]
                                                      : CheckFinding{.text = "could not be looked at"});
        }
    }
    if (sources == 0) return {Verdict::unknown, "there is no source"};
    return tally.finding();
}

CheckFinding log(const ChecklistEvidence& evidence) {
    return by_rules_of_sources(
        evidence, "sources with a log", {"exposure", "log_gap", "receiver_down"},
        [](const SourceFacts& source) { return source.receiver || source.kind == "postgresql"; },
        // Without it no gap would be seen.
        [](const SourceFacts& source) { return source.window_end.has_value(); });
}

CheckFinding window(const ChecklistEvidence& evidence) {
    return by_rules_of_sources(
        evidence, "sources of which every second is promised", {"window_short"},
        [](const SourceFacts& source) { return source.objectives.window.has_value(); },
        [](const SourceFacts&) { return true; });
}

CheckFinding alerts(const ChecklistEvidence& evidence) {
    std::int64_t bad = 0, others = 0;
    for (const auto& [severity, count] : evidence.open_alerts)
        (severity <= Severity::p2 ? bad : others) += count;
    return {bad == 0 ? Verdict::clear : Verdict::breach,
            fmt::format("{} of severity P1 or P2 open, {} of others", bad, others)};
}

} // namespace

CheckFinding find_by_check(ChecklistCheck check, const ChecklistEvidence& evidence) {
    switch (check) {
    case ChecklistCheck::backups:
        return backups(evidence);
    case ChecklistCheck::verification:
        return verification(evidence);
    case ChecklistCheck::retention:
        return succeeded(evidence, {"retention"});
    case ChecklistCheck::restore:
        return succeeded(evidence, {"restore"});
    case ChecklistCheck::audit:
        return audit(evidence);
    case ChecklistCheck::log:
        return log(evidence);
    case ChecklistCheck::window:
        return window(evidence);
    case ChecklistCheck::sizes:
        return by_rules(evidence, "sources", {"size_anomaly"});
    case ChecklistCheck::alerts:
        return alerts(evidence);
    case ChecklistCheck::repository:
        return by_rules(evidence, "repositories", {"repository_unreachable"});
    case ChecklistCheck::space:
        return by_rules(evidence, "repositories on a disk", {"storage_low"});
    case ChecklistCheck::certificate:
        return by_rules(evidence, "servers", {"certificate_expiring"});
    case ChecklistCheck::channels:
        return by_rules(evidence, "channels", {"channel_failing"});
    }
    return {};
}

} // namespace holdfast
