#include "server/operation_trail.h"

#include "base/json_text.h"

#include <array>

#include <nlohmann/json.hpp>

namespace holdfast {

namespace {

using Json = nlohmann::ordered_json;

// Of results, which may be long, what says which thing came of it, where that is, and how much it was.
constexpr std::array<std::string_view, 21> told{"id",
                                                "snapshot",
                                                "state",
                                                "size_bytes",
                                                "added_bytes",
                                                "target",
                                                "recovered_to",
                                                "timeline",
                                                "databases",
                                                "directory",
                                                "data_directory",
                                                "bytes",
                                                "files",
                                                "failed",
                                                "forgotten",
                                                "deleted_bytes",
                                                "deleted_packs",
                                                "dry_run",
                                                "damaged_objects",
                                                "intact",
                                                "passed"};

Json parsed(const std::optional<std::string>& text) {
    if (!text) return {};
    Json value = Json::parse(*text, nullptr, false);
    return value.is_discarded() ? Json(*text) : value;
}

Json result_of(const Operation& operation) {
    const Json all = parsed(operation.result);
    if (!all.is_object()) return {};
    Json some = Json::object();
    for (const std::string_view name : told)
        if (const auto found = all.find(name); found != all.end()) some[std::string(name)] = *found;
    return some;
}

Json error_of(const Operation& operation) {
    const Json all = parsed(operation.error);
    if (!all.is_object()) return all;
    Json error = Json::object();
    for (const char* member : {"code", "message"})
        if (const auto found = all.find(member); found != all.end()) error[member] = *found;
    return error;
}

Json details_of(const Operation& operation, const std::string& restore_directory) {
    Json details{{"kind", operation.kind},
                 {"source", operation.source ? Json(*operation.source) : Json()},
                 {"request", parsed(operation.request)},
                 {"plan", operation.plan ? Json(*operation.plan) : Json()},
                 {"attempt", operation.attempts}};
    if (operation.kind != "restore" || !details["request"].is_object()) return details;
    const auto name = details["request"].find("directory");
    if (name != details["request"].end() && name->is_string())
        details["restored_to"] = restore_directory + "/" + name->get<std::string>();
    return details;
}

} // namespace

OperationHooks operations_in_trail(Audit& audit, std::string restore_directory) {
    const auto begun = [&audit, restore_directory](Database& database, const Operation& operation) {
        Json details = details_of(operation, restore_directory);
        details["server"] = operation.owner ? Json(*operation.owner) : Json();
        audit.append(database, operation.requested_by, "operation.begin", operation.id, json_text(details));
    };
    const auto ended = [&audit, restore_directory](Database& database, const Operation& operation) {
        Json details = details_of(operation, restore_directory);
        details["state"] = to_string(operation.state);
        details["result"] = result_of(operation);
        details["error"] = error_of(operation);
        audit.append(database, operation.requested_by, "operation.end", operation.id, json_text(details));
    };
    return {.begun = begun, .ended = ended};
}

} // namespace holdfast
