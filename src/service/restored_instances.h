// Recovered clusters on this machine: what they are, for how long, and an end to those that were only lent.
#pragma once

#include "base/clock.h"

#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

namespace holdfast {

struct RestoredInstance {
    std::string id; // random; also in its data directory
    std::string data_directory;
    std::vector<std::string> tablespaces; // their places
    std::string source;
    std::string target; // what it was recovered to, for people
    std::string connection;
    std::string creator; // user@machine
    std::map<std::string, std::string> tags;
    Timestamp restored{};
    std::optional<Timestamp> expires; // it is removed when it is past; nothing: it stays

    bool expired(Timestamp now) const { return expires && *expires <= now; }
};

// Who runs this, as user@machine.
std::string current_creator();

// Writes it into the data directory (as holdfast-restore.json) and into `state_directory`, from where it is
// listed. Gives it an id, which is returned. Throws what the system throws.
std::string record_instance(const std::string& state_directory, RestoredInstance instance);

// By data directory. What is no record, or whose data directory is gone, is passed over.
std::vector<RestoredInstance> list_instances(const std::string& state_directory);

// Stops its server, if one runs, and removes data directory, tablespaces and record. Throws Error(usage) when
// the data directory is not the one that was restored (another one has taken its place), and
// Error(timed_out) when the server does not end; then nothing is removed.
void remove_instance(const std::string& state_directory, const RestoredInstance& instance,
                     std::stop_token stop);

} // namespace holdfast
