#include "postgres/server/backup_label.h"

#include "base/error.h"

#include <charconv>
#include <optional>

#include <fmt/format.h>

namespace holdfast::postgres {

namespace {

[[noreturn]] void fail(std::string_view why) {
    throw Error(ErrorCode::corrupt, fmt::format("a backup label {}", why), "take the backup again");
}

// What stands after "`name`: " in a line of its own.
std::optional<std::string_view> field(std::string_view text, std::string_view name) {
    for (std::size_t begin = 0; begin < text.size();) {
        const std::size_t end = std::min(text.find('\n', begin), text.size());
        const std::string_view line = text.substr(begin, end - begin);
        if (line.starts_with(name) && line.substr(name.size()).starts_with(": "))
            return line.substr(name.size() + 2);
        begin = end + 1;
    }
    return std::nullopt;
}

Lsn position(std::string_view text, std::string_view name) {
    const auto value = field(text, name);
    if (!value) fail(fmt::format("has no {}", name));
    const auto lsn = parse_lsn(value->substr(0, value->find(' ')));
    if (!lsn || !*lsn) fail(fmt::format("has no position in {}", name));
    return *lsn;
}

} // namespace

BackupLabel parse_backup_label(std::string_view text) {
    BackupLabel label;
    label.start = position(text, "START WAL LOCATION");
    label.checkpoint = position(text, "CHECKPOINT LOCATION");
    const std::string_view timeline = field(text, "START TIMELINE").value_or("");
    const auto [end, error] =
        std::from_chars(timeline.data(), timeline.data() + timeline.size(), label.start_timeline);
    if (error != std::errc() || end != timeline.data() + timeline.size() || label.start_timeline == 0)
        fail("has no START TIMELINE");
    label.from_standby = field(text, "BACKUP FROM") == "standby";
    label.label = field(text, "LABEL").value_or("");
    return label;
}

} // namespace holdfast::postgres
