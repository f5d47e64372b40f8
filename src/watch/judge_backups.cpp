#include "base/error.h"
#include "watch/judge.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace holdfast {

namespace {

// The code of an operation that did its work, and whose result is bad news.
constexpr std::string_view found_something = "failed";

// The good ones before the newest, of its type, the latest ones.
std::vector<const BackupFacts*> comparable(const SourceFacts& source, const BackupFacts& newest) {
    constexpr std::size_t most = 30;
    std::vector<const BackupFacts*> before;
    for (const BackupFacts& backup : source.backups)
        if (&backup != &newest && backup.good && backup.type == newest.type && backup.time <= newest.time)
            before.push_back(&backup);
    if (before.size() > most) before.erase(before.begin(), before.end() - most);
    return before;
}

std::optional<HistoryComparison> compare(const Bench& bench, const Rule& rule, std::uint64_t value,
                                         const std::vector<std::uint64_t>& before) {
    return compare_with_history(value, before, static_cast<std::size_t>(bench.threshold(rule, "history")),
                                bench.threshold(rule, "ratio"), bench.threshold(rule, "deviations"));
}

Judgement no_backup(const Bench& bench, const Rule& rule, const SourceFacts& source) {
    if (const BackupFacts* good = source.newest_good())
        return {.verdict = Verdict::clear,
                .summary = fmt::format("there is a good backup from {}", to_rfc3339(good->time))};
    if (!source.known) return {.verdict = Verdict::unknown};
    const double limit = static_cast<double>(bench.threshold(rule, "age"));
    if (source.expected_since && seconds_of(bench.now() - *source.expected_since) <= limit)
        return {.verdict = Verdict::clear, .summary = "the source is new"};
    Judgement judgement{.verdict = Verdict::breach,
                        .summary = source.backups.empty()
                                       ? std::string("there is no backup at all")
                                       : std::string("no backup is good: each of them left something out"),
                        .threshold = limit,
                        .since = source.expected_since};
    if (source.expected_since) judgement.value = seconds_of(bench.now() - *source.expected_since);
    return judgement;
}

Judgement backup_old(const Bench& bench, const Rule& rule, const SourceFacts& source) {
    const BackupFacts* good = source.newest_good();
    // None at all is the business of no_backup. Time goes on, also while nobody can ask the repository, but a
    // newer one may have been made that was not seen: that is told once it can be asked again.
    if (good == nullptr || !source.known) return {.verdict = Verdict::unknown};
    const double limit = source.objectives.backup_age ? seconds_of(source.objectives.backup_age->longest())
                                                      : static_cast<double>(bench.threshold(rule, "age"));
    const double age = seconds_of(bench.now() - good->time);
    return {.verdict = age > limit ? Verdict::breach : Verdict::clear,
            .summary = fmt::format("the newest good backup is {} old; at most {} is allowed",
                                   length_text(age), length_text(limit)),
            .value = age,
            .threshold = limit,
            .since = good->time};
}

const OperationFacts* last_of(const SourceFacts& source, const char* kind) {
    const auto at = source.operations.find(kind);
    return at == source.operations.end() ? nullptr : &at->second;
}

// How the last backup ended: `is_it` says whether as the rule means.
template <typename IsIt>
Judgement ended_as(const SourceFacts& source, std::string_view words, IsIt&& is_it) {
    const OperationFacts* last = last_of(source, "backup");
    // One under way says nothing yet.
    if (last == nullptr || last->state == OperationState::running) return {.verdict = Verdict::unknown};
    if (!is_it(*last)) return {.verdict = Verdict::clear, .summary = "the last backup ended otherwise"};
    return {.verdict = Verdict::breach,
            .summary =
                fmt::format("the last backup {}{}{}", words, last->error.empty() ? "" : ": ", last->error),
            .since = last->ended};
}

Judgement size_anomaly(const Bench& bench, const Rule& rule, const SourceFacts& source) {
    const BackupFacts* newest = source.newest_good();
    if (newest == nullptr || !source.known) return {.verdict = Verdict::unknown};
    const auto bytes = static_cast<double>(newest->bytes);
    const auto& floor = source.objectives.smallest_bytes;
    if (floor && newest->bytes < *floor) {
        const auto limit = static_cast<double>(*floor);
        return {.verdict = Verdict::breach,
                .summary = fmt::format("the newest backup has {}, less than the {} that it must have",
                                       size_text(bytes), size_text(limit)),
                .value = bytes,
                .threshold = limit,
                .since = newest->time};
    }
    std::vector<std::uint64_t> before;
    for (const BackupFacts* backup : comparable(source, *newest)) before.push_back(backup->bytes);
    const auto compared = compare(bench, rule, newest->bytes, before);
    if (!compared) return {.verdict = Verdict::clear, .summary = "there are too few to compare with"};
    return {.verdict = compared->is_far ? Verdict::breach : Verdict::clear,
            .summary =
                fmt::format("the newest backup has {}; those before it let {} to {} expect", size_text(bytes),
                            size_text(compared->lowest), size_text(compared->highest)),
            .value = bytes,
            .threshold = bytes < compared->median ? compared->lowest : compared->highest,
            .since = newest->time};
}

std::uint64_t milliseconds_of(Duration duration) {
    return static_cast<std::uint64_t>(
        std::max<std::int64_t>(0, std::chrono::duration_cast<std::chrono::milliseconds>(duration).count()));
}

Judgement duration_anomaly(const Bench& bench, const Rule& rule, const SourceFacts& source) {
    const BackupFacts* newest = source.newest_good();
    if (newest == nullptr || !newest->took || !source.known) return {.verdict = Verdict::unknown};
    std::vector<std::uint64_t> before;
    for (const BackupFacts* backup : comparable(source, *newest))
        if (backup->took) before.push_back(milliseconds_of(*backup->took));
    const auto compared = compare(bench, rule, milliseconds_of(*newest->took), before);
    if (!compared) return {.verdict = Verdict::clear, .summary = "there are too few to compare with"};
    const double took = seconds_of(*newest->took);
    const double median = compared->median / 1000,
                 limit = (took * 1000 < compared->median ? compared->lowest : compared->highest) / 1000;
    const bool is_far =
        compared->is_far && std::abs(took - median) >= static_cast<double>(bench.threshold(rule, "least"));
    return {.verdict = is_far ? Verdict::breach : Verdict::clear,
            .summary = fmt::format("the newest backup took {}; those before it let {} to {} expect",
                                   length_text(took), length_text(compared->lowest / 1000),
                                   length_text(compared->highest / 1000)),
            .value = took,
            .threshold = limit,
            .since = newest->time};
}

// What was found by one that ran is not meant: that is verification_failed.
Judgement verification_failing(const SourceFacts& source) {
    const OperationFacts* last = last_of(source, "verify");
    if (last == nullptr || last->state == OperationState::running) return {.verdict = Verdict::unknown};
    if (last->state != OperationState::failed || last->error_code == found_something)
        return {.verdict = Verdict::clear, .summary = "the last verification was carried out"};
    return {.verdict = Verdict::breach,
            .summary = fmt::format("the last verification could not be carried out{}{}",
                                   last->error.empty() ? "" : ": ", last->error),
            .since = last->ended};
}

Judgement verification_failed(const SourceFacts& source) {
    if (!source.verification) return {.verdict = Verdict::unknown};
    const VerificationFacts& last = *source.verification;
    if (last.good)
        return {.verdict = Verdict::clear,
                .summary = fmt::format("the verification of {} found nothing", to_rfc3339(last.time))};
    return {.verdict = Verdict::breach,
            .summary =
                fmt::format("a verification failed{}{}", last.problem.empty() ? "" : ": ", last.problem),
            .since = last.time};
}

Judgement retention_blocked(const SourceFacts& source) {
    if (!source.known) return {.verdict = Verdict::unknown};
    if (source.retention_blocked.empty())
        return {.verdict = Verdict::clear, .summary = "retention works again"};
    return {.verdict = Verdict::breach, .summary = "nothing is forgotten: " + source.retention_blocked};
}

} // namespace

void judge_backups(Bench& bench, const SourceFacts& source) {
    const std::string& name = source.source;
    if (source.backups_expected) {
        bench.ask("no_backup", name, [&](const Rule& rule) { return no_backup(bench, rule, source); });
        bench.ask("backup_old", name, [&](const Rule& rule) { return backup_old(bench, rule, source); });
        bench.ask("size_anomaly", name, [&](const Rule& rule) { return size_anomaly(bench, rule, source); });
        bench.ask("duration_anomaly", name,
                  [&](const Rule& rule) { return duration_anomaly(bench, rule, source); });
    }
    const std::string timed_out(to_string(ErrorCode::timed_out));
    bench.ask("backup_failed", name, [&](const Rule&) {
        return ended_as(source, "failed", [&](const OperationFacts& last) {
            return last.state == OperationState::failed && last.error_code != timed_out;
        });
    });
    bench.ask("backup_timed_out", name, [&](const Rule&) {
        return ended_as(source, "took too long", [&](const OperationFacts& last) {
            return last.state == OperationState::failed && last.error_code == timed_out;
        });
    });
    bench.ask("backup_incomplete", name, [&](const Rule&) {
        return ended_as(source, "left something out",
                        [](const OperationFacts& last) { return last.state == OperationState::incomplete; });
    });
    bench.ask("verification_failing", name, [&](const Rule&) { return verification_failing(source); });
    bench.ask("verification_failed", name, [&](const Rule&) { return verification_failed(source); });
    bench.ask("retention_blocked", name, [&](const Rule&) { return retention_blocked(source); });
}

} // namespace holdfast
