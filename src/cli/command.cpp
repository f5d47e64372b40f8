#include "cli/command.h"

#include "base/error.h"
#include "base/file_descriptor.h"
#include "cli/configuration.h"
#include "cli/server_choice.h"
#include "cli/signals.h"
#include "cli/terminal.h"
#include "client/api_client.h"
#include "documents/entry_name.h"
#include "repository/node/entry.h"
#include "store/file_store.h"

#include <cmath>
#include <cstdlib>
#include <filesystem>

#include <fmt/chrono.h>
#include <fmt/format.h>

namespace holdfast {

namespace {

std::string environment(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? "" : value;
}

const std::string& first_of(const std::string& a, const std::string& b) { return a.empty() ? b : a; }

// A directory has one text here.
std::string place_of(std::string url) {
    if (url.starts_with("file://")) url = path_of_file_url(url);
    while (url.size() > 1 && url.ends_with('/')) url.pop_back();
    return url;
}

// Those of the repository itself, named with its parameters or without any; else those for all.
const KeyFiles& keys_for(const Configuration& configuration, const std::string& url) {
    for (const std::string& place : {place_of(url), place_of(url.substr(0, url.find('?')))}) {
        for (const auto& [of, keys] : configuration.keys_of)
            if (place_of(of) == place) return keys;
    }
    return configuration.keys;
}

std::string trimmed_file(const std::string& path) {
    const Bytes bytes = read_file(path, 65536);
    std::string text(as_text(bytes));
    while (text.ends_with('\n') || text.ends_with('\r')) text.pop_back();
    return text;
}

} // namespace

CommandContext::CommandContext(const GlobalOptions& options, const Configuration& configuration,
                               StopOnSignal& signals)
    : options_(options),
      configuration_(configuration),
      signals_(signals),
      logger_(std::make_unique<StandardErrorLogger>(options.verbose ? LogLevel::debug
                                                    : options.quiet ? LogLevel::error
                                                                    : LogLevel::warning,
                                                    options.log_format == "json" ? LogFormat::json
                                                                                 : LogFormat::text)) {}

CommandContext::~CommandContext() = default;

std::stop_token CommandContext::stop() const { return signals_.stop_token(); }

ProgressStyle CommandContext::progress_style() const {
    if (options_.progress == "json") return ProgressStyle::json;
    const bool none = options_.quiet || options_.progress == "none";
    return none ? ProgressStyle::none : ProgressStyle::people;
}

std::string CommandContext::repository_url(const std::string& url) const {
    const std::string& named = first_of(url, configuration_.repository);
    if (named.empty()) {
        throw Error(ErrorCode::usage, "no repository is named",
                    "add --repo URL, set HOLDFAST_REPOSITORY, or write 'repository' in holdfast.toml");
    }
    // A path as people type it.
    if (named.find("://") == std::string::npos && named[0] != '/')
        return std::filesystem::absolute(named).lexically_normal().string();
    return named;
}

RepositoryAccess CommandContext::access(const std::string& url, bool new_passphrase) {
    RepositoryAccess access;
    access.url = repository_url(url);
    access.cache_directory = first_of(options_.cache_directory, configuration_.cache_directory);
    const std::string& upload = first_of(options_.limit_upload, configuration_.limit_upload);
    const std::string& download = first_of(options_.limit_download, configuration_.limit_download);
    if (!upload.empty()) access.store.throttle.upload_bytes_per_second = parse_size(upload, "--limit-upload");
    if (!download.empty())
        access.store.throttle.download_bytes_per_second = parse_size(download, "--limit-download");
    access.store.s3_endpoint = configuration_.s3.endpoint;
    access.store.s3_region = configuration_.s3.region;
    access.store.s3_profile = configuration_.s3.profile;
    access.store.s3_ca_file = configuration_.s3.ca_file;
    access.store.s3_min_tls = configuration_.s3.min_tls;
    access.store.s3_credentials.access_key = configuration_.s3.access_key;
    if (!configuration_.s3.secret_key_file.empty()) {
        access.store.s3_credentials.secret_key = trimmed_file(configuration_.s3.secret_key_file);
    }

    // What is typed wins over the environment, and that over the file.
    const KeyFiles& keys = keys_for(configuration_, access.url);
    if (!options_.key_file.empty()) {
        access.key_file = options_.key_file;
    } else if (!options_.private_key.empty()) {
        access.private_key_file = options_.private_key;
    } else if (const std::string passphrase = environment("HOLDFAST_PASSPHRASE"); !passphrase.empty()) {
        access.passphrase = Secret::copy_of(as_bytes(passphrase));
    } else if (!keys.key_file.empty()) {
        access.key_file = keys.key_file;
    } else if (!keys.private_key.empty()) {
        access.private_key_file = keys.private_key;
    } else if (!keys.passphrase_file.empty()) {
        access.passphrase = Secret::copy_of(as_bytes(trimmed_file(keys.passphrase_file)));
    } else {
        if (asked_passphrase_.empty()) asked_passphrase_ = ask_passphrase(new_passphrase, stop());
        access.passphrase = asked_passphrase_.copy();
    }
    return access;
}

ApiClient& CommandContext::api() {
    if (!api_) {
        ServerAccess access = server_access(options_, configuration_);
        access.ask_code = [this] { return ask_code(stop()); };
        api_ = std::make_unique<ApiClient>(std::move(access), system_clock(), system_random(), stop());
    }
    return *api_;
}

void CommandContext::print(const nlohmann::json& value, const std::function<void()>& text) const {
    if (json()) {
        fmt::print("{}\n", value.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
    } else {
        text();
    }
}

void CommandContext::report(const nlohmann::json& value, const std::function<void()>& text,
                            bool dry_run) const {
    if (json() || dry_run || !options_.quiet) print(value, text);
}

std::uint64_t parse_size(const std::string& text, const std::string& what) {
    const auto fail = [&]() -> Error {
        return Error(ErrorCode::usage, fmt::format("{}: '{}' is not a size", what, text),
                     "write it as 500k, 20M or 1.5G");
    };
    char* end = nullptr;
    const double number = std::strtod(text.c_str(), &end);
    std::string unit(end);
    if (end == text.c_str() || !std::isfinite(number) || number < 0) throw fail();
    double factor = 1;
    if (!unit.empty()) {
        switch (unit[0]) {
        case 'k':
        case 'K':
            factor = 1024.0;
            break;
        case 'M':
            factor = 1024.0 * 1024;
            break;
        case 'G':
            factor = 1024.0 * 1024 * 1024;
            break;
        case 'T':
            factor = 1024.0 * 1024 * 1024 * 1024;
            break;
        default:
            throw fail();
        }
        const std::string rest = unit.substr(1);
        if (!rest.empty() && rest != "B" && rest != "iB") throw fail();
    }
    if (number * factor >= 1e18) throw fail();
    return static_cast<std::uint64_t>(number * factor);
}

std::string local_time(Timestamp time) {
    const std::time_t seconds = std::chrono::duration_cast<std::chrono::seconds>(
                                    std::chrono::floor<std::chrono::seconds>(time).time_since_epoch())
                                    .count();
    return fmt::format("{:%Y-%m-%d %H:%M:%S}", fmt::localtime(seconds));
}

std::string file_time_text(const FileTime& time) {
    // Beyond these, calendars of the C library are of no help.
    if (time.seconds < -62135596800 || time.seconds > 253402300799) return fmt::format("@{}", time.seconds);
    return fmt::format("{:%Y-%m-%d %H:%M:%S}", fmt::localtime(static_cast<std::time_t>(time.seconds)));
}

std::string short_id(const std::string& hex) { return hex.substr(0, 8); }

} // namespace holdfast
