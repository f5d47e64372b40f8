#include "watch/judge.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace holdfast {

namespace {

Judgement unreachable(const RepositoryFacts& repository) {
    if (repository.reachable) return {.verdict = Verdict::clear, .summary = "the repository answers"};
    return {.verdict = Verdict::breach,
            .summary = fmt::format("the repository cannot be read{}{}",
                                   repository.problem.empty() ? "" : ": ", repository.problem)};
}

Judgement storage_low(const Bench& bench, const Rule& rule, const RepositoryFacts& repository) {
    if (!repository.free_bytes || !repository.capacity_bytes || *repository.capacity_bytes == 0)
        return {.verdict = Verdict::unknown};
    const double free =
        100 * static_cast<double>(*repository.free_bytes) / static_cast<double>(*repository.capacity_bytes);
    const double limit = static_cast<double>(bench.threshold(rule, "free"));
    const double clear = std::max(limit, static_cast<double>(bench.threshold(rule, "clear")));
    const Verdict verdict = free < limit ? Verdict::breach : free < clear ? Verdict::between : Verdict::clear;
    return {.verdict = verdict,
            .summary = fmt::format("{:.1f}% of the disk is free ({} of {}); at least {:.0f}% must be", free,
                                   size_text(static_cast<double>(*repository.free_bytes)),
                                   size_text(static_cast<double>(*repository.capacity_bytes)), limit),
            .value = free,
            .threshold = limit};
}

Judgement storage_growing(const Bench& bench, const Rule& rule, const RepositoryFacts& repository) {
    if (!repository.bytes) return {.verdict = Verdict::unknown};
    const Duration over = std::chrono::seconds(bench.threshold(rule, "over"));
    const auto first = std::ranges::find_if(repository.history, [&](const StoragePoint& point) {
        return bench.now() - point.time <= over && point.time < bench.now();
    });
    // What was measured for less than half of that time is no rate.
    if (first == repository.history.end() || (bench.now() - first->time) * 2 < over)
        return {.verdict = Verdict::clear, .summary = "it was not looked at for long enough"};
    const double time = seconds_of(bench.now() - first->time);
    const double before = static_cast<double>(first->bytes);
    const double growth = static_cast<double>(*repository.bytes) - before;
    if (growth < static_cast<double>(bench.threshold(rule, "least_bytes")))
        return {.verdict = Verdict::clear, .summary = "it grows little"};
    const double percent = before > 0 ? 100 * growth / before : INFINITY;
    const double most = static_cast<double>(bench.threshold(rule, "growth"));
    // With nothing before, all of it is growth, and the first backup is no surprise.
    if (std::isfinite(percent) && percent > most) {
        return {.verdict = Verdict::breach,
                .summary = fmt::format("the repository grew by {} ({:.0f}%) within {}; {:.0f}% is the most",
                                       size_text(growth), percent, length_text(time), most),
                .value = percent,
                .threshold = most};
    }
    if (repository.free_bytes) {
        const double left = static_cast<double>(*repository.free_bytes) / (growth / time);
        const double least = static_cast<double>(bench.threshold(rule, "full_within"));
        if (left < least) {
            return {.verdict = Verdict::breach,
                    .summary =
                        fmt::format("the disk is full within {} if the repository grows as in the last {}",
                                    length_text(left), length_text(time)),
                    .value = left,
                    .threshold = least};
        }
    }
    return {.verdict = Verdict::clear, .summary = "it grows as expected"};
}

Judgement work_failing(const RepositoryFacts& repository, const char* kind) {
    const auto last = repository.operations.find(kind);
    if (last == repository.operations.end() || last->second.state == OperationState::running)
        return {.verdict = Verdict::unknown};
    const OperationFacts& operation = last->second;
    if (operation.state != OperationState::failed)
        return {.verdict = Verdict::clear, .summary = fmt::format("the last {} was carried out", kind)};
    return {.verdict = Verdict::breach,
            .summary = fmt::format("the last {} failed{}{}", kind, operation.error.empty() ? "" : ": ",
                                   operation.error),
            .since = operation.ended};
}

Judgement clock_off(const Bench& bench, const Rule& rule, const ServerFacts& server) {
    if (server.clock_doubt && !server.clock_doubt->empty())
        return {.verdict = Verdict::breach, .summary = *server.clock_doubt};
    std::optional<double> worst;
    std::string_view whose;
    const auto look = [&](const std::optional<double>& offset, std::string_view name) {
        if (!offset || !std::isfinite(*offset)) return;
        if (worst && std::abs(*offset) <= std::abs(*worst)) return;
        worst = offset;
        whose = name;
    };
    look(server.store_clock_offset_seconds, "store");
    look(server.database_clock_offset_seconds, "database");
    if (!worst && (!server.clock_doubt || !server.clock_compared)) return {.verdict = Verdict::unknown};
    if (!worst) return {.verdict = Verdict::clear, .summary = "the clock runs as it should"};
    const double limit = static_cast<double>(bench.threshold(rule, "offset"));
    const double clear = std::min(limit, static_cast<double>(bench.threshold(rule, "clear")));
    const double off = std::abs(*worst);
    return {.verdict = off > limit              ? Verdict::breach
                       : off > clear            ? Verdict::between
                       : !server.clock_compared ? Verdict::unknown
                                                : Verdict::clear,
            .summary =
                fmt::format("the clock is {} {} that of the {}; at most {} is allowed", length_text(off),
                            *worst > 0 ? "ahead of" : "behind", whose, length_text(limit)),
            .value = *worst,
            .threshold = limit};
}

Judgement certificate_expiring(Bench& bench, const Rule& rule, const ServerFacts& server) {
    const double left = seconds_of(*server.certificate_end - bench.now());
    const double limit = static_cast<double>(bench.threshold(rule, "left"));
    if (left < static_cast<double>(bench.threshold(rule, "urgent"))) bench.worsen(Severity::p1);
    return {.verdict = left < limit ? Verdict::breach : Verdict::clear,
            .summary = left < 0 ? fmt::format("the certificate ended {} ago", length_text(-left))
                                : fmt::format("the certificate ends in {}", length_text(left)),
            .value = left,
            .threshold = limit};
}

Judgement monitor_failing(const Bench& bench, const ServerFacts& server) {
    if (!server.round_problem.empty())
        return {.verdict = Verdict::breach, .summary = "the last round failed: " + server.round_problem};
    if (!server.last_round || server.round_limit <= Duration::zero()) return {.verdict = Verdict::unknown};
    const double age = seconds_of(bench.now() - *server.last_round);
    const double limit = seconds_of(server.round_limit);
    return {.verdict = age > limit ? Verdict::breach : Verdict::clear,
            .summary = fmt::format("the last round ended {} ago; at most {} is allowed",
                                   length_text(std::max(age, 0.0)), length_text(limit)),
            .value = age,
            .threshold = limit,
            .since = server.last_round};
}

} // namespace

void judge_repository(Bench& bench, const RepositoryFacts& repository) {
    const std::string& name = repository.name;
    bench.ask("repository_unreachable", name, [&](const Rule&) { return unreachable(repository); });
    bench.ask("retention_failing", name, [&](const Rule&) { return work_failing(repository, "retention"); });
    bench.ask("prune_failing", name, [&](const Rule&) { return work_failing(repository, "prune"); });
    bench.ask("storage_low", name, [&](const Rule& rule) { return storage_low(bench, rule, repository); });
    bench.ask("storage_growing", name,
              [&](const Rule& rule) { return storage_growing(bench, rule, repository); });
}

void judge_server(Bench& bench, const ServerFacts& server) {
    const std::string& name = server.name;
    bench.ask("clock_off", name, [&](const Rule& rule) { return clock_off(bench, rule, server); });
    if (server.certificate_end)
        bench.ask("certificate_expiring", name,
                  [&](const Rule& rule) { return certificate_expiring(bench, rule, server); });
    bench.ask("monitor_failing", name, [&](const Rule&) { return monitor_failing(bench, server); });
}

void judge_channel(Bench& bench, const ChannelFacts& channel) {
    bench.ask("channel_failing", channel.name, [&](const Rule& rule) -> Judgement {
        const auto failures = static_cast<double>(channel.failed_in_a_row);
        const auto limit = static_cast<double>(bench.threshold(rule, "failures"));
        return {.verdict = failures >= limit ? Verdict::breach
                           : failures > 0    ? Verdict::between
                                             : Verdict::clear,
                .summary = failures > 0 ? fmt::format("{} attempts in a row failed: {}",
                                                      channel.failed_in_a_row, channel.last_error)
                                        : std::string("notices get through"),
                .value = failures,
                .threshold = limit,
                .since = channel.last_success};
    });
}

void judge_checklist(Bench& bench, const ChecklistFacts& checklist) {
    bench.ask("checklist_missed", checklist.name, [&](const Rule&) -> Judgement {
        const std::size_t missed = checklist.missed.size();
        if (missed == 0)
            return {.verdict = Verdict::clear, .summary = "all that was missed has been seen to"};
        return {.verdict = Verdict::breach,
                .summary = fmt::format("not seen to in the last period, nor since: {}",
                                       fmt::join(checklist.missed, ", ")),
                .value = static_cast<double>(missed),
                .threshold = 0};
    });
}

} // namespace holdfast
