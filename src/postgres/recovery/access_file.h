// How a server that recovers gets at the repository, when this program was given passphrase and credentials
// in its environment: through a file in the data directory, for its owner alone, that restore_command reads
// and that is removed when the recovery is over. A server's own environment stays for as long as it runs, and
// everything that it runs has it too.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace holdfast::postgres {

// In the data directory; no snapshot has it.
constexpr std::string_view access_file_name = "holdfast-access";

// Whether a name of the environment is one by which this program gets at repositories: a passphrase,
// credentials, proxies, certificates. (Key files and the like are told as options.)
bool is_access_variable(std::string_view name);
// Whether a server is started with it: what programs need to run at all, and nothing of others.
bool is_server_variable(std::string_view name);

// Those of `environment` ("NAME=value") that are for access, for a shell to read.
std::string access_file_text(const std::vector<std::string>& environment);
std::vector<std::string> process_variables();

// `restore_command`, run with what the file says, if it is there.
std::string with_access_file(const std::string& restore_command);
// The file gets the owner of its directory. To be removed by who has waited for the recovery.
void write_access_file(const std::string& data_directory, std::string_view text);
void remove_access_file(const std::string& data_directory) noexcept;

} // namespace holdfast::postgres
