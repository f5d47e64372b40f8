// [server] of holdfast.toml.
#pragma once

#include "base/clock.h"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast {

struct ServerSettings {
    std::string listen = "127.0.0.1:7420";
    std::string state_directory;         // absolute
    std::string catalog = "sqlite";      // in the state directory, or what libpq takes: "postgresql://…"
    std::string restore_directory;       // below which the server may restore; empty: it may not
    std::string retention = "0 1 * * *"; // a cron expression in UTC, or "never": when policies are enforced
    std::uint32_t at_once = 2;           // operations, of all servers that share the catalog
    // For how long a log must lead on no more before a snapshot is taken for it to go on from.
    Duration gap_patience = std::chrono::minutes(3);
    // PEM, both or none: then a certificate is made, for these names and addresses beside localhost and the
    // machine's own.
    std::string certificate, key;
    std::vector<std::string> names;
    // What takes a second factor or a second person, by action: see docs/api.md.
    std::map<std::string, std::string> protection;

    bool operator==(const ServerSettings&) const = default;

    // As Catalog takes it.
    std::string catalog_url() const;
};

// Reads the JSON form; `default_state_directory` is for when it names none. Throws Error(usage) whose field()
// is the path of what is wrong, "server.listen".
ServerSettings parse_server_settings(std::string_view json, const std::string& default_state_directory);

} // namespace holdfast
