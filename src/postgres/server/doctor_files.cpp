#include "base/file_descriptor.h"
#include "postgres/files/control_file.h"
#include "postgres/server/doctor_checks.h"

#include <filesystem>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

namespace holdfast::postgres {

namespace {

namespace fs = std::filesystem;

// Below these a disk counts as nearly full.
constexpr std::uint64_t little_space = 2ull << 30;
constexpr double little_share = 0.05;

// Of a file that is caught while it is written the next reading is right.
ControlFile read_control_file(const std::string& data_directory) {
    const std::string path = fmt::format("{}/{}", data_directory, control_file_path);
    for (int attempt = 0;; ++attempt) {
        const ControlFile control =
            in_context(path, [&] { return parse_control_file(read_file(path, 2 * control_file_bytes)); });
        if (control.crc_right) return control;
        if (attempt == 10)
            throw Error(ErrorCode::corrupt, path + " has a wrong checksum",
                        "see that it is the file of a running server");
    }
}

Check check_space(const std::string& name, const fs::path& place) {
    std::error_code error;
    const fs::space_info space = fs::space(place, error);
    if (error) return {name, CheckState::warning, fmt::format("{}: {}", place.string(), error.message()), ""};
    const std::string found = fmt::format("{} MiB of {} MiB free at {}", space.available >> 20,
                                          space.capacity >> 20, place.string());
    const bool little =
        space.available < little_space ||
        static_cast<double>(space.available) < little_share * static_cast<double>(space.capacity);
    if (!little) return {name, CheckState::ok, found, ""};
    return {name, CheckState::warning, found,
            "free or add space: a full disk stops the server, and what slots keep comes on top"};
}

// Every tablespace whose folder cannot be listed.
std::vector<std::string> unreadable_tablespaces(const ClusterFacts& facts) {
    std::vector<std::string> unreadable;
    for (const TablespaceFacts& space : facts.tablespaces) {
        const bool listed =
            space.location.starts_with('/') && ::access(space.location.c_str(), R_OK | X_OK) == 0;
        if (space.location.starts_with('/') && !listed) unreadable.push_back(space.location);
    }
    return unreadable;
}

} // namespace

void check_files(const DoctorRequest& request, const ClusterFacts& facts, std::vector<Check>& checks) {
    if (const std::vector<std::string> outside = facts.files_outside(); !outside.empty()) {
        checks.push_back(
            {"configuration_files", CheckState::warning,
             fmt::format("not in the data directory, so in no snapshot of it: {}", fmt::join(outside, ", ")),
             "protect their folder as a source of documents"});
    }
    if (!request.data_directory) return;
    const std::string& place = *request.data_directory;
    try {
        const std::uint64_t identifier = read_control_file(place).system_identifier;
        if (identifier != facts.system_identifier) {
            checks.push_back({"data_directory", CheckState::failed,
                              fmt::format("{} belongs to the cluster {}, not to the one that is connected to",
                                          place, identifier),
                              facts.data_directory ? "set data_directory to " + *facts.data_directory
                                                   : "set data_directory to what SHOW data_directory says"});
            return;
        }
    } catch (const Error& error) {
        checks.push_back({"data_directory", CheckState::failed, error.message(),
                          "run Holdfast as the user that the server runs as, or leave data_directory away to "
                          "read over the "
                          "replication protocol"});
        return;
    }
    checks.push_back({"data_directory", CheckState::ok, place + " can be read", ""});
    if (const std::vector<std::string> unreadable = unreadable_tablespaces(facts); !unreadable.empty()) {
        checks.push_back({"tablespaces", CheckState::failed,
                          fmt::format("cannot be read: {}", fmt::join(unreadable, ", ")),
                          "run Holdfast as the user that the server runs as"});
    } else {
        checks.push_back({"tablespaces", CheckState::ok,
                          fmt::format("{} beside the data directory", facts.tablespaces.size()), ""});
    }
    checks.push_back(check_space("data_space", place));
    checks.push_back(check_space("wal_space", fs::path(place) / "pg_wal"));
}

} // namespace holdfast::postgres
