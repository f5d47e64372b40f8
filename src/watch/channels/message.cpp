#include "watch/channels/message.h"

#include "repository/protocol/text_form.h"

#include <algorithm>

#include <fmt/format.h>

namespace holdfast {

namespace {

std::string_view word_of(const Notice& notice) {
    switch (notice.event) {
    case NoticeEvent::trigger:
        return notice.level > 1 ? "still open" : "";
    case NoticeEvent::acknowledge:
        return "acknowledged";
    case NoticeEvent::resolve:
        return "resolved";
    case NoticeEvent::success:
        return "done";
    case NoticeEvent::test:
        return "test";
    }
    return "";
}

// Nothing is wrong: it has neither a severity nor a runbook.
std::string success_text(const Notice& notice) {
    std::string text = notice.summary + "\n\n";
    text += fmt::format("Operation: {}\n{:<11}{}\nBegan:     {}\nEnded:     {}\n", notice.alert,
                        notice.subject_kind + ":", notice.subject, to_rfc3339(notice.since),
                        to_rfc3339(notice.time));
    if (!notice.origin.empty()) text += fmt::format("From:      {}\n", notice.origin);
    return text;
}

} // namespace

std::string bounded_utf8(std::string_view text, std::size_t limit_bytes) {
    std::string result;
    std::size_t at = 0;
    while (at < text.size()) {
        // The shortest piece that is whole.
        std::size_t size = 1;
        while (size <= 4 && at + size <= text.size() && !is_utf8(text.substr(at, size))) ++size;
        const bool whole = size <= 4 && at + size <= text.size();
        const std::string_view piece = whole ? text.substr(at, size) : std::string_view("?");
        if (result.size() + piece.size() > limit_bytes) break;
        result += piece;
        at += whole ? size : 1;
    }
    return result;
}

std::string notice_subject(const Notice& notice) {
    const std::string_view word = word_of(notice);
    const std::string_view severity =
        notice.event == NoticeEvent::success ? std::string_view() : to_string(notice.severity);
    std::string subject =
        fmt::format("[{}{}{}] {}: {}", severity, severity.empty() || word.empty() ? "" : " ", word,
                    notice.title, notice.subject);
    std::ranges::replace_if(
        subject, [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 0x7f; }, ' ');
    return bounded_utf8(subject, 200);
}

std::string notice_text(const Notice& notice) {
    if (notice.event == NoticeEvent::success) return bounded_utf8(success_text(notice), 20'000);
    std::string text = notice.summary + "\n\n";
    text += fmt::format("Rule:     {}\n{:<10}{}\nSeverity: {} ({})\nSince:    {}\n", notice.rule,
                        notice.subject_kind + ":", notice.subject, to_string(notice.severity),
                        severity_word(notice.severity), to_rfc3339(notice.since));
    if (!notice.actor.empty())
        text += fmt::format("{:<10}{} by {}\n", "State:", word_of(notice), notice.actor);
    if (!notice.alert.empty()) text += fmt::format("Alert:    {}\n", notice.alert);
    if (!notice.origin.empty()) text += fmt::format("From:     {}\n", notice.origin);
    const bool to_do = notice.event == NoticeEvent::trigger || notice.event == NoticeEvent::test;
    if (to_do && !notice.runbook.empty()) text += "\n" + notice.runbook;
    return bounded_utf8(text, 20'000);
}

} // namespace holdfast
