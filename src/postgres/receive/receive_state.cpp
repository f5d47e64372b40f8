#include "postgres/receive/receive_state.h"

#include "base/error.h"
#include "base/file_descriptor.h"
#include "base/json_text.h"

#include <cstdio>
#include <filesystem>

#include <fcntl.h>
#include <nlohmann/json.hpp>

namespace holdfast::postgres {

namespace {

using Json = nlohmann::json;

constexpr std::size_t largest_state_bytes = 1u << 20;

Json to_json(const WalPosition& position) {
    if (!position.lsn) return nullptr;
    return {{"timeline", position.timeline}, {"lsn", position.lsn.str()}};
}

Json to_json(Lsn lsn) { return lsn ? Json(lsn.str()) : Json(nullptr); }

Lsn lsn_from(const Json& value) {
    return value.is_string() ? parse_lsn(value.get<std::string>()).value_or(Lsn{}) : Lsn{};
}

WalPosition position_from(const Json& value) {
    if (!value.is_object()) return {};
    return {value.at("timeline").get<TimelineId>(), lsn_from(value.at("lsn"))};
}

Json time_of_commit(std::int64_t microseconds) {
    if (microseconds == 0) return nullptr;
    return to_rfc3339(Timestamp(std::chrono::microseconds(microseconds)));
}

} // namespace

std::string to_json_text(const ReceiveState& state) {
    Json gaps = Json::array();
    for (const LogGap& gap : state.gaps)
        gaps.push_back({{"timeline", gap.timeline}, {"begin", gap.begin.str()}, {"end", gap.end.str()}});
    const Json value = {
        {"source", state.source},
        {"archive", state.archive},
        {"time", to_rfc3339(state.time)},
        {"phase", state.phase},
        {"boot", state.boot},
        {"server", to_json(state.server)},
        {"received", to_json(state.received)},
        {"spooled", to_json(state.spooled)},
        {"archived", to_json(state.archived)},
        {"acknowledged", to_json(state.acknowledged)},
        {"last_commit", to_json(state.last_commit)},
        {"last_commit_time", time_of_commit(state.last_commit_us)},
        {"exposure_seconds", state.exposure_seconds},
        {"spool_bytes", state.spool_bytes},
        {"server_keeps_bytes", state.server_keeps_bytes ? Json(*state.server_keeps_bytes) : Json(nullptr)},
        {"gaps", gaps},
        {"alarms", state.alarms}};
    return json_text(value);
}

void write_receive_state(const std::string& path, const ReceiveState& state) {
    const std::string temporary = path + ".new";
    FileDescriptor file = open_file(temporary, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    write_all(file.get(), as_bytes(to_json_text(state) + "\n"), temporary);
    file.close(temporary);
    if (std::rename(temporary.c_str(), path.c_str()) != 0) throw system_error(errno, path);
}

std::optional<ReceiveState> read_receive_state(const std::string& path) {
    if (!std::filesystem::exists(path)) return std::nullopt;
    try {
        const Json value = Json::parse(as_text(read_file(path, largest_state_bytes)));
        ReceiveState state;
        state.source = value.at("source").get<std::string>();
        state.archive = value.at("archive").get<std::string>();
        state.time = from_rfc3339(value.at("time").get<std::string>());
        state.phase = value.at("phase").get<std::string>();
        state.boot = value.at("boot").get<std::string>();
        state.server = lsn_from(value.at("server"));
        state.received = position_from(value.at("received"));
        state.spooled = position_from(value.at("spooled"));
        state.archived = position_from(value.at("archived"));
        state.acknowledged = position_from(value.at("acknowledged"));
        state.last_commit = lsn_from(value.at("last_commit"));
        if (const Json& time = value.at("last_commit_time"); time.is_string())
            state.last_commit_us = std::chrono::duration_cast<std::chrono::microseconds>(
                                       from_rfc3339(time.get<std::string>()).time_since_epoch())
                                       .count();
        state.exposure_seconds = value.at("exposure_seconds").get<double>();
        state.spool_bytes = value.at("spool_bytes").get<std::uint64_t>();
        if (const auto kept = value.find("server_keeps_bytes");
            kept != value.end() && kept->is_number_unsigned())
            state.server_keeps_bytes = kept->get<std::uint64_t>();
        for (const Json& gap : value.at("gaps"))
            state.gaps.push_back(
                {gap.at("timeline").get<TimelineId>(), lsn_from(gap.at("begin")), lsn_from(gap.at("end"))});
        state.alarms = value.at("alarms").get<std::vector<std::string>>();
        return state;
    } catch (const Json::exception&) {
        return std::nullopt;
    } catch (const Error& error) {
        if (error.code() != ErrorCode::usage) throw;
        return std::nullopt; // no time, or no JSON of a sensible size
    }
}

std::string boot_id() {
    const std::string path = "/proc/sys/kernel/random/boot_id";
    if (!std::filesystem::exists(path)) return {};
    std::string text(as_text(read_file(path, 256)));
    while (!text.empty() && text.back() == '\n') text.pop_back();
    return text;
}

} // namespace holdfast::postgres
