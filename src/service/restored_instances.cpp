#include "service/restored_instances.h"

#include "base/error.h"
#include "base/file_descriptor.h"
#include "base/owned_file.h"
#include "base/random.h"
#include "crypto/hash.h"
#include "documents/owner_names.h"
#include "documents/remove_tree.h"
#include "postgres/recovery/restore_target.h"

#include <algorithm>
#include <array>
#include <csignal>
#include <filesystem>

#include <fcntl.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>
#include <unistd.h>

namespace holdfast {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view record_name = "holdfast-restore.json";
constexpr std::size_t largest_record_bytes = 1u << 20;
constexpr Duration stop_patience = std::chrono::seconds(60);
constexpr Duration pause = std::chrono::milliseconds(50);

std::string path_in_state(const std::string& state_directory, const std::string& data_directory) {
    return fmt::format("{}/instances/{}.json", state_directory,
                       derive_hash<8>("holdfast restored instance 1", as_bytes(data_directory)).hex());
}

std::string to_text(const RestoredInstance& instance) {
    nlohmann::json value = {{"id", instance.id},
                            {"data_directory", instance.data_directory},
                            {"tablespaces", instance.tablespaces},
                            {"source", instance.source},
                            {"target", instance.target},
                            {"connection", instance.connection},
                            {"creator", instance.creator},
                            {"tags", instance.tags},
                            {"restored", to_rfc3339(instance.restored)}};
    if (instance.expires) value["expires"] = to_rfc3339(*instance.expires);
    return value.dump(2) + "\n";
}

std::optional<RestoredInstance> read_record(const std::string& path) {
    try {
        const Bytes bytes = read_file(path, largest_record_bytes);
        const nlohmann::json value = nlohmann::json::parse(as_text(bytes));
        RestoredInstance instance;
        instance.id = value.at("id").get<std::string>();
        instance.data_directory = value.at("data_directory").get<std::string>();
        instance.tablespaces = value.at("tablespaces").get<std::vector<std::string>>();
        instance.source = value.at("source").get<std::string>();
        instance.target = value.at("target").get<std::string>();
        instance.connection = value.at("connection").get<std::string>();
        instance.creator = value.at("creator").get<std::string>();
        instance.tags = value.at("tags").get<std::map<std::string, std::string>>();
        instance.restored = from_rfc3339(value.at("restored").get<std::string>());
        if (value.contains("expires")) instance.expires = from_rfc3339(value["expires"].get<std::string>());
        return instance;
    } catch (const Error&) {
        return std::nullopt;
    } catch (const nlohmann::json::exception&) {
        return std::nullopt;
    }
}

void remove_directory(const std::string& path) {
    if (!fs::exists(path)) return;
    const fs::path whole(path);
    const FileDescriptor above = open_file(whole.parent_path().string(), O_RDONLY | O_DIRECTORY);
    remove_tree(above.get(), whole.filename().string());
}

void stop_server(const RestoredInstance& instance, const std::stop_token& stop) {
    const Duration begun = system_clock().steady();
    bool told = false;
    while (const auto process = postgres::running_server(instance.data_directory)) {
        if (*process <= 0 || (!told && ::kill(*process, SIGINT) != 0 && errno != ESRCH)) {
            throw Error(ErrorCode::access_denied,
                        fmt::format("the server in {} cannot be stopped", instance.data_directory),
                        "run this as the user that it runs as");
        }
        told = true;
        if (system_clock().steady() - begun > stop_patience) {
            throw Error(
                ErrorCode::timed_out,
                fmt::format("the server in {} (process {}) does not end", instance.data_directory, *process),
                "stop it, and try again");
        }
        if (!system_clock().sleep_for(pause, stop))
            throw Error(ErrorCode::cancelled, "stopped before it was done");
    }
}

} // namespace

std::string current_creator() {
    OwnerNames names;
    std::array<char, 256> machine{};
    if (::gethostname(machine.data(), machine.size() - 1) != 0) machine[0] = '?';
    std::string user = names.user_name(::geteuid());
    if (user.empty()) user = fmt::format("{}", ::geteuid());
    return fmt::format("{}@{}", user, machine.data());
}

std::string record_instance(const std::string& state_directory, RestoredInstance instance) {
    instance.id = system_random().id<16>().hex();
    const std::string text = to_text(instance);
    write_file_durably_for(file_owner(instance.data_directory),
                           fmt::format("{}/{}", instance.data_directory, record_name), as_bytes(text));
    create_directories_private(fmt::format("{}/instances", state_directory));
    write_file_durably(path_in_state(state_directory, instance.data_directory), as_bytes(text));
    return instance.id;
}

std::vector<RestoredInstance> list_instances(const std::string& state_directory) {
    std::vector<RestoredInstance> all;
    std::error_code none;
    for (const fs::directory_entry& entry : fs::directory_iterator(state_directory + "/instances", none)) {
        auto instance = read_record(entry.path().string());
        if (instance && fs::exists(instance->data_directory)) all.push_back(std::move(*instance));
    }
    std::ranges::sort(all, {}, &RestoredInstance::data_directory);
    return all;
}

void remove_instance(const std::string& state_directory, const RestoredInstance& instance,
                     std::stop_token stop) {
    const auto present = read_record(fmt::format("{}/{}", instance.data_directory, record_name));
    if (!present || present->id != instance.id) {
        throw Error(ErrorCode::usage,
                    fmt::format("{} is not what was restored there", instance.data_directory),
                    "look at it, and remove it by hand if it is not needed");
    }
    stop_server(instance, stop);
    for (const std::string& place : instance.tablespaces) remove_directory(place);
    remove_directory(instance.data_directory);
    ::unlink(path_in_state(state_directory, instance.data_directory).c_str());
}

} // namespace holdfast
