#include "postgres/recovery/access_file.h"

#include "base/error.h"
#include "base/file_descriptor.h"

#include <algorithm>
#include <array>
#include <span>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace holdfast::postgres {

namespace {

constexpr std::array<std::string_view, 11> access_names{
    "HOLDFAST_PASSPHRASE", "http_proxy", "HTTP_PROXY", "https_proxy",   "HTTPS_PROXY", "all_proxy",
    "ALL_PROXY",           "no_proxy",   "NO_PROXY",   "SSL_CERT_FILE", "SSL_CERT_DIR"};
constexpr std::array<std::string_view, 9> server_names{"PATH",     "HOME", "USER",   "LOGNAME",        "LANG",
                                                       "LANGUAGE", "TZ",   "TMPDIR", "LD_LIBRARY_PATH"};

bool is_one_of(std::span<const std::string_view> names, std::string_view name) {
    return std::ranges::find(names, name) != names.end();
}

std::string path_in(const std::string& data_directory) {
    return fmt::format("{}/{}", data_directory, access_file_name);
}

} // namespace

bool is_access_variable(std::string_view name) {
    return name.starts_with("AWS_") || is_one_of(access_names, name);
}

bool is_server_variable(std::string_view name) {
    return name.starts_with("LC_") || is_one_of(server_names, name);
}

std::string access_file_text(const std::vector<std::string>& environment) {
    std::string text;
    for (const std::string_view variable : environment) {
        const std::size_t equals = variable.find('=');
        if (equals == std::string_view::npos || !is_access_variable(variable.substr(0, equals))) continue;
        text += fmt::format("{}='", variable.substr(0, equals));
        for (const char c : variable.substr(equals + 1))
            text += c == '\'' ? std::string("'\\''") : std::string(1, c);
        text += "'\n";
    }
    return text;
}

std::vector<std::string> process_variables() {
    std::vector<std::string> all;
    for (char** variable = environ; *variable != nullptr; ++variable) all.emplace_back(*variable);
    return all;
}

// A shell ends when a file that it is to read is not there: PostgreSQL would take that for the end of the
// log.
std::string with_access_file(const std::string& restore_command) {
    return fmt::format("set -a; if [ -r ./{0} ]; then . ./{0}; fi; exec {1}", access_file_name,
                       restore_command);
}

void write_access_file(const std::string& data_directory, std::string_view text) {
    const std::string path = path_in(data_directory);
    struct stat owner{};
    if (::stat(data_directory.c_str(), &owner) != 0) throw system_error(errno, data_directory);
    ::unlink(path.c_str());
    const FileDescriptor file = open_file(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
    if (::geteuid() == 0 && ::fchown(file.get(), owner.st_uid, owner.st_gid) != 0)
        throw system_error(errno, path);
    write_all(file.get(), as_bytes(text), path);
}

void remove_access_file(const std::string& data_directory) noexcept {
    ::unlink(path_in(data_directory).c_str());
}

} // namespace holdfast::postgres
