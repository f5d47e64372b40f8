#include "watch/success_notice.h"

#include "watch/judgement.h"
#include "watch/outbox.h"
#include "watch/trial.h"

#include <algorithm>

#include <fmt/format.h>

namespace holdfast {

namespace {

std::string title_of(std::string_view kind) {
    std::string title = fmt::format("{} succeeded", kind);
    if (!title.empty() && title.front() >= 'a' && title.front() <= 'z')
        title.front() = static_cast<char>(title.front() - 'a' + 'A');
    return title;
}

} // namespace

void queue_success(Database& database, const std::vector<ChannelSettings>& channels, std::string_view origin,
                   const Operation& operation, Timestamp now) {
    if (is_trial(operation)) return;
    const std::string subject = operation.source.value_or("");
    const std::string rule = operation.kind + "_succeeded";
    // By the clock that operations go by.
    const Timestamp end = database.time().value_or(now);
    const Timestamp since = operation.started.value_or(end);
    const std::string of = operation.source ? fmt::format(" of {}", subject) : std::string();
    const Notice notice{.id = {},
                        .dedup_key = dedup_key(origin, rule, operation.id),
                        .event = NoticeEvent::success,
                        .alert = operation.id,
                        .rule = rule,
                        .title = title_of(operation.kind),
                        .subject = operation.source ? subject : "repository",
                        .subject_kind = operation.source ? "source" : "repository",
                        .severity = Severity::p4,
                        .summary =
                            fmt::format("The {}{} is done; it took {}.", operation.kind, of,
                                        length_text(std::chrono::duration<double>(end - since).count())),
                        .runbook = {},
                        .since = since,
                        .time = now,
                        .level = 1,
                        .actor = {},
                        .origin = std::string(origin)};
    for (const ChannelSettings& channel : channels) {
        if (!channel.takes_success(operation.kind, subject)) continue;
        Outbox::add(database, fmt::format("{}-{}", operation.id, channel.name), channel.name, notice);
    }
}

} // namespace holdfast
