#include "base/error.h"
#include "watch/judge.h"

#include <fmt/format.h>

namespace holdfast {

namespace {

// Sizes of the good ones before the newest, of its type, the latest ones.
std::vector<std::uint64_t> sizes_before(const SourceFacts& source, const BackupFacts& newest) {
    constexpr std::size_t most = 30;
    std::vector<std::uint64_t> sizes;
    for (const BackupFacts& backup : source.backups)
        if (&backup != &newest && backup.good && backup.type == newest.type && backup.time <= newest.time)
            sizes.push_back(backup.bytes);
    if (sizes.size() > most) sizes.erase(sizes.begin(), sizes.end() - most);
    return sizes;
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

const OperationFacts* last_backup(const SourceFacts& source) {
    const auto at = source.operations.find("backup");
    return at == source.operations.end() ? nullptr : &at->second;
}

// How the last backup ended: `is_it` says whether as the rule means.
template <typename IsIt>
Judgement ended_as(const SourceFacts& source, std::string_view words, IsIt&& is_it) {
    const OperationFacts* last = last_backup(source);
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
    const auto compared = compare_size(newest->bytes, sizes_before(source, *newest),
                                       static_cast<std::size_t>(bench.threshold(rule, "history")),
                                       bench.threshold(rule, "ratio"), bench.threshold(rule, "deviations"));
    if (!compared) return {.verdict = Verdict::clear, .summary = "there are too few to compare with"};
    return {.verdict = compared->is_far ? Verdict::breach : Verdict::clear,
            .summary =
                fmt::format("the newest backup has {}; those before it let {} to {} expect", size_text(bytes),
                            size_text(compared->lowest), size_text(compared->highest)),
            .value = bytes,
            .threshold = bytes < compared->median ? compared->lowest : compared->highest,
            .since = newest->time};
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
    bench.ask("verification_failed", name, [&](const Rule&) { return verification_failed(source); });
    bench.ask("retention_blocked", name, [&](const Rule&) { return retention_blocked(source); });
}

} // namespace holdfast
