#include "base/error.h"
#include "base/json_text.h"
#include "watch/outbox.h"

#include <array>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace holdfast {

namespace {

constexpr std::array<std::pair<NoticeEvent, std::string_view>, 5> event_names{{
    {NoticeEvent::trigger, "trigger"},
    {NoticeEvent::acknowledge, "acknowledge"},
    {NoticeEvent::resolve, "resolve"},
    {NoticeEvent::success, "success"},
    {NoticeEvent::test, "test"},
}};

} // namespace

std::string_view to_string(NoticeEvent event) {
    for (const auto& [known, name] : event_names)
        if (known == event) return name;
    return "trigger";
}

NoticeEvent notice_event(std::string_view text) {
    for (const auto& [event, name] : event_names)
        if (name == text) return event;
    throw Error(ErrorCode::usage, fmt::format("'{}' is no event of a notice", text));
}

std::string notice_json(const Notice& notice) {
    const nlohmann::json json = {{"dedup_key", notice.dedup_key},
                                 {"event", to_string(notice.event)},
                                 {"alert", notice.alert},
                                 {"rule", notice.rule},
                                 {"title", notice.title},
                                 {"subject", notice.subject},
                                 {"subject_kind", notice.subject_kind},
                                 {"severity", to_string(notice.severity)},
                                 {"summary", notice.summary},
                                 {"runbook", notice.runbook},
                                 {"since", to_rfc3339(notice.since)},
                                 {"time", to_rfc3339(notice.time)},
                                 {"level", notice.level},
                                 {"actor", notice.actor},
                                 {"origin", notice.origin}};
    return json_text(json);
}

Notice parse_notice(std::string_view text) {
    try {
        const auto json = nlohmann::json::parse(text);
        const auto get = [&](const char* key) { return json.at(key).get<std::string>(); };
        return {.id = {},
                .dedup_key = get("dedup_key"),
                .event = notice_event(get("event")),
                .alert = get("alert"),
                .rule = get("rule"),
                .title = get("title"),
                .subject = get("subject"),
                .subject_kind = get("subject_kind"),
                .severity = severity_from(get("severity")),
                .summary = get("summary"),
                .runbook = get("runbook"),
                .since = from_rfc3339(get("since")),
                .time = from_rfc3339(get("time")),
                .level = json.at("level").get<std::int64_t>(),
                .actor = get("actor"),
                .origin = get("origin")};
    } catch (const nlohmann::json::exception& error) {
        throw Error(ErrorCode::corrupt,
                    fmt::format("a notice in the catalog is malformed: {}", error.what()));
    } catch (const Error& error) {
        throw Error(ErrorCode::corrupt, "a notice in the catalog is malformed: " + error.message());
    }
}

} // namespace holdfast
