#include "cli/server_choice.h"

#include "base/error.h"
#include "base/file_descriptor.h"
#include "cli/commands/server_option.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace holdfast {

namespace {

constexpr std::size_t most_token_bytes = 4096;
constexpr const char* how_to_name = "add --server URL, set HOLDFAST_SERVER, or write server below [client] "
                                    "in holdfast.toml";
// These are about this machine, and other programs start some of them: a server that the environment or the
// configuration names is not for them.
constexpr std::array<std::string_view, 5> of_this_machine{"init", "serve", "wal", "doctor", "instances"};

std::string name_of(const CLI::App& command) {
    const CLI::App* parent = command.get_parent();
    if (parent == nullptr || parent->get_parent() == nullptr) return command.get_name();
    return name_of(*parent) + " " + command.get_name();
}

bool is_of_this_machine(const std::string& name) {
    return std::ranges::find(of_this_machine, name.substr(0, name.find(' '))) != of_this_machine.end();
}

// The first line: what follows it in the file that `serve` writes is for an authenticator.
std::string token_in_file(const std::string& path) {
    struct stat status{};
    if (::stat(path.c_str(), &status) != 0) throw system_error(errno, path);
    if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        throw Error(ErrorCode::usage, fmt::format("{}: others may read the token", path),
                    fmt::format("chmod 600 {}, and think about who has read it", path));
    }
    const Bytes bytes = read_file(path, most_token_bytes);
    const std::string_view text = as_text(bytes);
    return std::string(text.substr(0, text.find_first_of("\r\n")));
}

std::string token_of(const GlobalOptions& options, const Configuration& configuration,
                     const std::string& server) {
    std::string token;
    const char* in_environment = std::getenv("HOLDFAST_TOKEN");
    if (!options.token_file.empty()) {
        token = token_in_file(options.token_file);
    } else if (in_environment != nullptr && *in_environment != '\0') {
        token = in_environment;
    } else if (!configuration.client.token_file.empty()) {
        token = token_in_file(configuration.client.token_file);
    } else {
        throw Error(ErrorCode::usage, fmt::format("there is no token for {}", server),
                    "set HOLDFAST_TOKEN, add --token-file FILE, or write token_file below [client] in "
                    "holdfast.toml");
    }
    const bool clean =
        !token.empty() && std::ranges::all_of(token, [](char c) { return c > 0x20 && c < 0x7F; });
    if (!clean)
        throw Error(ErrorCode::usage, "what is given as the token is none",
                    "it looks like hf_ and 64 digits");
    return token;
}

bool is_this_machine(const std::string& url) {
    for (const char* name : {"localhost", "127.0.0.1", "[::1]"}) {
        const std::string head = fmt::format("https://{}", name);
        if (url == head || url.starts_with(head + ":")) return true;
    }
    return false;
}

// The certificate that a server on this machine has made for itself; empty where there is none to read.
std::string certificate_beside(const Configuration& configuration) {
    try {
        const std::string file = server_settings(configuration).state_directory + "/server.crt";
        return ::access(file.c_str(), R_OK) == 0 ? file : std::string();
    } catch (const Error&) {
        return {}; // it has no place here
    }
}

} // namespace

std::string named_server(const GlobalOptions& options, const Configuration& configuration) {
    if (options.repository_typed && !options.server_typed) return {};
    const std::string& named = options.server.empty() ? configuration.client.server : options.server;
    return named == here_word ? std::string() : named;
}

const RunCommand::Body& chosen_body(const RunCommand& run, const CLI::App& command,
                                    const GlobalOptions& options, const Configuration& configuration) {
    const std::string name = name_of(command), server = named_server(options, configuration);
    if (server.empty()) {
        if (!run.here)
            throw Error(ErrorCode::usage, fmt::format("'{}' asks a server, and none is named", name),
                        how_to_name);
        if (options.detach)
            throw Error(ErrorCode::usage, "--detach leaves work to a server, and none is named", how_to_name);
        return run.here;
    }
    if (options.server_typed && options.repository_typed)
        throw Error(ErrorCode::usage, "--server and --repo each say where to work",
                    "leave one of them out: a server has a repository of its own");
    if (run.at_server) return run.at_server;
    if (options.server_typed) {
        throw Error(ErrorCode::usage, fmt::format("'{}' does not work at a server", name),
                    "leave --server out, and name the repository with --repo");
    }
    const bool has_repository = command.get_option_no_throw("--repo") != nullptr;
    if (has_repository && !is_of_this_machine(name)) {
        throw Error(ErrorCode::usage,
                    fmt::format("'{}' does not work at a server, and {} is named", name, server),
                    fmt::format("name the repository with --repo, or say --server {} for the one that is "
                                "configured here",
                                here_word));
    }
    return run.here;
}

ServerAccess server_access(const GlobalOptions& options, const Configuration& configuration) {
    ServerAccess access{.url = named_server(options, configuration), .token = {}};
    access.token = token_of(options, configuration, access.url);
    access.ca_file = options.server_ca.empty() ? configuration.client.ca_file : options.server_ca;
    if (access.ca_file.empty() && is_this_machine(access.url))
        access.ca_file = certificate_beside(configuration);
    if (!access.ca_file.empty() && ::access(access.ca_file.c_str(), R_OK) != 0)
        throw system_error(errno, access.ca_file).with_hint("name the server's certificate with --server-ca");
    access.code = options.code;
    return access;
}

} // namespace holdfast
