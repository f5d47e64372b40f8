#include "watch/judge.h"

#include <algorithm>

#include <fmt/format.h>

namespace holdfast {

namespace {

// Whether it has a log between backups, so that exposure is a matter of minutes.
bool has_log(const SourceFacts& source) { return source.receiver || source.kind == "postgresql"; }

std::optional<double> exposure_limit(const Bench& bench, const Rule& rule, const SourceFacts& source) {
    if (source.objectives.rpo) return seconds_of(source.objectives.rpo->longest());
    if (has_log(source)) return static_cast<double>(bench.threshold(rule, "exposure"));
    return std::nullopt;
}

Judgement exposure(double limit, const SourceFacts& source) {
    if (!source.exposure_seconds || !source.known) return {.verdict = Verdict::unknown};
    return {.verdict = *source.exposure_seconds > limit ? Verdict::breach : Verdict::clear,
            .summary = fmt::format("{} would be lost now; at most {} is allowed",
                                   length_text(*source.exposure_seconds), length_text(limit)),
            .value = source.exposure_seconds,
            .threshold = limit};
}

Judgement log_gap(const Bench& bench, const Rule& rule, const SourceFacts& source) {
    if (!source.known || !source.log_known) return {.verdict = Verdict::unknown};
    const Duration look_back = std::chrono::seconds(bench.threshold(rule, "look_back"));
    const GapFacts* latest = nullptr;
    std::size_t count = 0;
    for (const GapFacts& gap : source.gaps) {
        if (bench.now() - gap.to > look_back) continue;
        ++count;
        if (latest == nullptr || gap.to > latest->to) latest = &gap;
    }
    if (latest == nullptr) return {.verdict = Verdict::clear, .summary = "the log has no gap of late"};
    return {.verdict = Verdict::breach,
            .summary = fmt::format("nothing between {} and {} can be restored{}", to_rfc3339(latest->from),
                                   to_rfc3339(latest->to),
                                   count > 1 ? fmt::format("; {} gaps in all", count) : std::string()),
            .value = static_cast<double>(count),
            .threshold = 0,
            .since = latest->from};
}

Judgement receiver_down(const Bench& bench, const Rule& rule, const SourceFacts& source) {
    const double limit = static_cast<double>(bench.threshold(rule, "silence"));
    const ReceiverFacts& receiver = *source.receiver;
    if (!receiver.last_seen) {
        // Who has just begun to look may have come in a moment in which it was not connected, and does not
        // know for how long it has been gone.
        const double looked =
            receiver.asked_since ? seconds_of(bench.now() - *receiver.asked_since) : limit + 1;
        return {.verdict = looked > limit ? Verdict::breach : Verdict::unknown,
                .summary = "the receiver was never seen",
                .threshold = limit,
                .since = receiver.asked_since};
    }
    const double silence = seconds_of(bench.now() - *receiver.last_seen);
    return {.verdict = silence > limit ? Verdict::breach : Verdict::clear,
            .summary = fmt::format("the receiver was seen {} ago; at most {} is allowed",
                                   length_text(std::max(silence, 0.0)), length_text(limit)),
            .value = silence,
            .threshold = limit,
            .since = receiver.last_seen};
}

Judgement window_short(const Bench& bench, const SourceFacts& source) {
    if (!source.known || !source.log_known) return {.verdict = Verdict::unknown};
    const Timestamp promised = bench.now() - source.objectives.window->longest();
    // What began within the promised time cannot have a longer window yet; when it began, the oldest backup
    // does not tell, since retention may have taken what was before.
    if (!source.expected_since) return {.verdict = Verdict::unknown};
    const double limit = seconds_of(source.objectives.window->longest());
    // The first backup needs its time. And where snapshots go by their age, the window begins with the next
    // one, up to a day later; of a short window that is too much.
    constexpr Duration grace = std::chrono::hours(26);
    const Timestamp covered = *source.expected_since + grace;
    if (bench.now() < covered) return {.verdict = Verdict::clear, .summary = "the source is new"};
    const Duration to_go = std::min<Duration>(grace, source.objectives.window->longest() / 4);
    const Timestamp needed = std::max(promised + to_go, covered);
    if (!source.window_start)
        return {.verdict = Verdict::breach, .summary = "no moment can be restored", .threshold = limit};
    const double reach = seconds_of(bench.now() - *source.window_start);
    return {.verdict = *source.window_start > needed ? Verdict::breach : Verdict::clear,
            .summary = fmt::format("every second can be restored for {} back; {} is promised",
                                   length_text(reach), length_text(limit)),
            .value = reach,
            .threshold = limit};
}

} // namespace

void judge_log(Bench& bench, const SourceFacts& source) {
    const std::string& name = source.source;
    if (!source.backups_expected) return;
    if (const auto limit = exposure_limit(bench, *find_rule("exposure"), source))
        bench.ask("exposure", name, [&](const Rule&) { return exposure(*limit, source); });
    if (has_log(source))
        bench.ask("log_gap", name, [&](const Rule& rule) { return log_gap(bench, rule, source); });
    if (source.receiver)
        bench.ask("receiver_down", name,
                  [&](const Rule& rule) { return receiver_down(bench, rule, source); });
    if (source.objectives.window)
        bench.ask("window_short", name, [&](const Rule&) { return window_short(bench, source); });
}

} // namespace holdfast
