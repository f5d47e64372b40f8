#include "postgres/files/recovery_settings.h"

#include "base/error.h"
#include "documents/entry_name.h"

#include <algorithm>

#include <fmt/format.h>

namespace holdfast::postgres {

namespace {

using std::chrono::ceil;
using std::chrono::floor;
using std::chrono::microseconds;

constexpr std::size_t longest_name_bytes = 63;
constexpr std::string_view begin_mark = "# Holdfast: settings of a recovery; removed when it is over\n";
constexpr std::string_view end_mark = "# Holdfast: end of the settings of a recovery\n";

template <typename... Handlers>
struct Overloaded : Handlers... {
    using Handlers::operator()...;
};

std::string target_time(Timestamp time, bool inclusive) {
    const Timestamp rounded =
        inclusive ? Timestamp(floor<microseconds>(time)) : Timestamp(ceil<microseconds>(time));
    // RFC 3339 in UTC, with a zone that no server's setting of zone names can change.
    std::string text = to_rfc3339(rounded);
    text.pop_back();
    text[10] = ' ';
    return text + "+00";
}

void check_name(const std::string& name) {
    if (name.empty() || name.size() > longest_name_bytes ||
        name.find_first_of(std::string_view("\n\r\0", 3)) != std::string::npos) {
        throw Error(ErrorCode::usage, fmt::format("'{}' is no name of a restore point", printable(name)),
                    "a name has 1 to 63 bytes and one line");
    }
}

struct TargetSetting {
    std::string name;
    std::string value;
};

std::optional<TargetSetting> target_setting(const RecoverySettings& settings) {
    using Result = std::optional<TargetSetting>;
    return std::visit(
        Overloaded{
            [](const RecoverToEnd&) { return Result(); },
            [](const RecoverToConsistency&) { return Result({"recovery_target", "immediate"}); },
            [&](const RecoverToTime& target) {
                return Result({"recovery_target_time", target_time(target.time, settings.inclusive)});
            },
            [](const RecoverToLsn& target) {
                if (!target.position) throw Error(ErrorCode::usage, "0/0 is no position to recover to");
                return Result({"recovery_target_lsn", target.position.str()});
            },
            [](const RecoverToXid& target) {
                const auto xid = static_cast<std::uint32_t>(target.xid);
                if (xid == 0) {
                    throw Error(ErrorCode::usage,
                                fmt::format("{} is no transaction to recover to", target.xid));
                }
                return Result({"recovery_target_xid", fmt::format("{}", xid)});
            },
            [](const RecoverToName& target) {
                check_name(target.name);
                return Result({"recovery_target_name", target.name});
            },
        },
        settings.target);
}

std::string_view to_string(TargetAction action) {
    switch (action) {
    case TargetAction::pause:
        return "pause";
    case TargetAction::promote:
        return "promote";
    case TargetAction::shutdown:
        return "shutdown";
    }
    return "";
}

bool is_setting_name(std::string_view name) {
    const auto fits = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
               c == '.';
    };
    return !name.empty() && !(name.front() >= '0' && name.front() <= '9') && std::ranges::all_of(name, fits);
}

struct Block {
    std::size_t begin;
    std::size_t end;
};

// Where Holdfast's lines are, with the line break that was put before them.
std::optional<Block> find_block(std::string_view configuration) {
    const std::string begin_with_break = fmt::format("\n{}", begin_mark);
    std::size_t begin = configuration.find(begin_with_break);
    if (begin == std::string_view::npos) return std::nullopt;
    const std::size_t end = configuration.find(end_mark, begin + begin_with_break.size());
    if (end == std::string_view::npos) return std::nullopt;
    return Block{begin, end + end_mark.size()};
}

} // namespace

std::string_view signal_file(const RecoverySettings& settings) {
    return settings.standby ? "standby.signal" : "recovery.signal";
}

std::string quote_setting(std::string_view text) {
    std::string quoted = "'";
    for (const char c : text) {
        if (c == '\0') {
            throw Error(ErrorCode::usage, fmt::format("the setting '{}' contains a NUL", printable(text)));
        }
        if (c == '\'') {
            quoted += "''";
        } else if (c == '\\') {
            quoted += "\\\\";
        } else if (c == '\n') {
            quoted += "\\n"; // a value may have several lines, its form must not
        } else if (c == '\r') {
            quoted += "\\r";
        } else {
            quoted += c;
        }
    }
    return quoted + '\'';
}

std::string recovery_lines(const RecoverySettings& settings) {
    const auto target = target_setting(settings);
    if (settings.standby && target) {
        throw Error(ErrorCode::usage, "a standby recovers to no target",
                    "leave the target out, or recover without following a primary");
    }
    if (!settings.standby && settings.restore_command.empty()) {
        throw Error(ErrorCode::usage, "there is no restore_command, without which no server recovers");
    }
    std::string lines;
    const auto add = [&](std::string_view name, std::string_view value) {
        if (!is_setting_name(name)) {
            throw Error(ErrorCode::usage, fmt::format("'{}' is no name of a setting", printable(name)));
        }
        lines += fmt::format("{} = {}\n", name, quote_setting(value));
    };
    add("restore_command", settings.restore_command);
    for (const std::string_view name : {"recovery_target", "recovery_target_name", "recovery_target_time",
                                        "recovery_target_xid", "recovery_target_lsn"}) {
        if (!target || target->name != name) add(name, "");
    }
    if (target) add(target->name, target->value);
    add("recovery_target_inclusive", settings.inclusive ? "on" : "off");
    add("recovery_target_timeline", settings.timeline ? fmt::format("{}", *settings.timeline) : "latest");
    add("recovery_target_action", to_string(settings.action));
    add("primary_conninfo", settings.standby ? settings.primary_connection : "");
    // A slot of the copied server's primary is not this server's.
    add("primary_slot_name", "");
    for (const auto& [name, value] : settings.more) add(name, value);
    return lines;
}

std::string with_recovery_lines(std::string_view configuration, std::string_view lines) {
    std::string text(configuration);
    if (const auto block = find_block(text)) text.erase(block->begin, block->end - block->begin);
    return fmt::format("{}\n{}{}{}", text, begin_mark, lines, end_mark);
}

} // namespace holdfast::postgres
