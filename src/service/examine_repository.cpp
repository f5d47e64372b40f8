#include "service/examine_repository.h"

#include "base/error.h"
#include "postgres/receive/receive_state.h"
#include "repository/slot.h"
#include "service/clock_check.h"
#include "service/space_watch.h"

#include <cmath>
#include <filesystem>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

namespace holdfast {

namespace {

using postgres::Check;
using postgres::CheckState;

constexpr double little_share = 0.05;
constexpr double tolerable_clock_seconds = 5 * 60;
// A receiver reports each second.
constexpr auto silent_for = std::chrono::minutes(2);

Check failed(std::string name, const Error& error, std::string_view otherwise) {
    return {std::move(name), CheckState::failed, error.message(),
            error.hint().empty() ? std::string(otherwise) : error.hint()};
}

Check check_role(const Repository& repository) {
    const Role role = repository.keys().role();
    const std::string found = fmt::format("the key here has the role '{}'", to_string(role));
    if (role_may_write(role, ObjectKind::commit) && role_may_write(role, ObjectKind::log_slice))
        return {"repository_role", CheckState::ok, found, ""};
    return {"repository_role", CheckState::failed, found + ": it can store no snapshot and no log",
            "use a key of the role write or full ('holdfast key add --role write' makes one)"};
}

Check check_store_clock(Repository& repository) {
    std::optional<double> ahead;
    try {
        ahead = clock_offset_seconds(repository);
    } catch (const Error& error) {
        if (error.code() == ErrorCode::cancelled) throw;
        return failed("repository_clock", error, "let Holdfast read what it has stored");
    }
    if (!ahead) return {"repository_clock", CheckState::ok, "the store tells no time", ""};
    const std::string found = fmt::format("the store's clock is {:.0f} s {} ours", std::abs(*ahead),
                                          *ahead > 0 ? "behind" : "ahead of");
    if (std::abs(*ahead) < tolerable_clock_seconds) return {"repository_clock", CheckState::ok, found, ""};
    return {"repository_clock", CheckState::warning,
            found + ": requests may be refused, ages are told wrongly",
            "let both machines keep their time by NTP"};
}

// Only trying shows what credentials, mounts and quotas allow. Whether it could be stored.
bool check_writing(Repository& repository, std::vector<Check>& checks) {
    Store& store = repository.store();
    // Small, as who may not delete leaves it behind.
    const std::string name = std::string(probe_prefix) + repository.random().id<16>().hex() + "/doctor";
    bool seen = false;
    try {
        store.put(name, as_bytes("doctor"));
        seen = store.head(name, {}).has_value();
    } catch (const Error& error) {
        if (error.code() == ErrorCode::cancelled) throw;
        checks.push_back(
            failed("repository_writable", error,
                   "see that credentials, mount and quota let Holdfast store objects there and see them"));
        return false;
    }
    std::string found = "objects can be stored";
    try {
        store.remove(name, {});
        found += " and removed";
    } catch (const Error& error) {
        if (error.code() == ErrorCode::cancelled) throw;
        // As it should be where the machine that is backed up is not trusted.
        found += fmt::format(", and not removed from here ({}); prune elsewhere", error.message());
    }
    if (seen)
        checks.push_back({"repository_writable", CheckState::ok, found, ""});
    else
        checks.push_back({"repository_writable", CheckState::warning,
                          found + ", but what was just stored was not seen yet",
                          "use a store that shows at once what was written"});
    return true;
}

Check check_space(std::string name, const SpaceLeft& space) {
    const std::string found = fmt::format("{} MiB of {} MiB free at {}", space.free_bytes >> 20,
                                          space.capacity_bytes >> 20, space.place);
    const std::string mend =
        "free or add space; 'holdfast forget' and 'holdfast prune' give back what is not kept";
    if (space.is_short()) return {std::move(name), CheckState::failed, found, mend};
    const bool little =
        static_cast<double>(space.free_bytes) < little_share * static_cast<double>(space.capacity_bytes);
    if (little) return {std::move(name), CheckState::warning, found, mend};
    return {std::move(name), CheckState::ok, found, ""};
}

Check check_spool_directory(const std::string& directory) {
    namespace fs = std::filesystem;
    fs::path place = directory;
    std::error_code error;
    while (!fs::exists(place, error) && place.has_relative_path()) place = place.parent_path();
    if (!fs::is_directory(place, error))
        return {"spool", CheckState::failed, fmt::format("{} is no directory", place.string()),
                "set spool_directory below the source in holdfast.toml to a directory"};
    if (::access(place.c_str(), R_OK | W_OK | X_OK) != 0)
        return {"spool", CheckState::failed, fmt::format("{} cannot be written", place.string()),
                "run Holdfast as a user that may, or set spool_directory below the source in holdfast.toml"};
    return {"spool", CheckState::ok,
            place == fs::path(directory) ? directory : fmt::format("{}, which will be made", directory), ""};
}

Check check_receiver(const postgres::ReceiveState& state, Timestamp now) {
    const std::string found = fmt::format("{} at {}", state.phase, to_rfc3339(state.time));
    if (!state.alarms.empty())
        return {"receiver", CheckState::warning, fmt::format("{}: {}", found, fmt::join(state.alarms, "; ")),
                "see what its log says; it goes on by itself once the reason has passed"};
    if (now - state.time > silent_for)
        return {"receiver", CheckState::warning, found + ", and not heard of since",
                "start 'holdfast wal receive' again, as a service that is restarted"};
    return {"receiver", CheckState::ok, found, ""};
}

} // namespace

std::vector<Check> examine_repository(Repository& repository, const std::stop_token& stop) {
    std::vector<Check> checks;
    checks.push_back(check_role(repository));
    if (check_writing(repository, checks)) checks.push_back(check_store_clock(repository));
    if (stop.stop_requested()) throw Error(ErrorCode::cancelled, "stopped");
    if (const auto space = space_of_repository(repository.store().url()))
        checks.push_back(check_space("repository_space", *space));
    return checks;
}

std::vector<Check> examine_spool(const std::string& spool_directory, const std::string& receive_state,
                                 Timestamp now) {
    std::vector<Check> checks;
    checks.push_back(check_spool_directory(spool_directory));
    if (checks.back().state == CheckState::ok)
        if (const auto space = space_at(spool_directory))
            checks.push_back(check_space("spool_space", *space));
    if (const auto state = postgres::read_receive_state(receive_state))
        checks.push_back(check_receiver(*state, now));
    return checks;
}

} // namespace holdfast
