#include "service/snapshot_json.h"

#include "base/bytes.h"
#include "documents/entry_name.h"
#include "repository/protocol/text_form.h"

#include <algorithm>

#include <nlohmann/json.hpp>

namespace holdfast {

nlohmann::json to_json(const Snapshot& snapshot) {
    nlohmann::json paths = nlohmann::json::array();
    for (const std::string& path : snapshot.paths) paths.push_back(is_utf8(path) ? path : printable(path));
    const SnapshotTotals& totals = snapshot.totals;
    nlohmann::json json = {
        {"id", snapshot.id.hex()},
        {"source", snapshot.source},
        {"kind", snapshot.kind},
        {"sequence", snapshot.sequence},
        {"parent", snapshot.parent ? nlohmann::json(snapshot.parent->hex()) : nlohmann::json()},
        {"host", snapshot.host},
        {"domain", snapshot.domain},
        {"paths", paths},
        {"time", to_rfc3339(snapshot.time)},
        {"end", to_rfc3339(snapshot.end)},
        {"duration_seconds", std::chrono::duration<double>(snapshot.end - snapshot.time).count()},
        {"tags", snapshot.tags},
        {"state", to_string(snapshot.state)},
        {"size_bytes", totals.bytes},
        {"added_bytes", totals.stored_bytes},
        {"files", totals.files},
        {"directories", totals.directories},
        {"others", totals.others},
        {"read_bytes", totals.read_bytes},
        {"new_bytes", totals.new_bytes},
        {"unchanged_files", totals.unchanged_files},
        {"changed_files", totals.changed_files},
        {"new_files", totals.new_files},
        {"failed", totals.failed},
        {"compression", snapshot.compression},
        {"program", snapshot.program},
    };
    // What can be given back, as set_bytes() has it for one name.
    if (!std::ranges::all_of(snapshot.paths, is_utf8)) {
        for (const std::string& path : snapshot.paths) json["paths_hex"].push_back(to_hex(as_bytes(path)));
    }
    return json;
}

nlohmann::json to_json(const AnnotatedSnapshot& annotated) {
    nlohmann::json json = to_json(annotated.snapshot);
    json["tags"] = annotated.standing.tags;
    json["holds"] = nlohmann::json::array();
    for (const Statement& hold : annotated.standing.holds) json["holds"].push_back(hold.name);
    if (const Statement* stands = standing_verification(annotated.standing)) {
        json["verified"] = {{"time", to_rfc3339(stands->time)},
                            {"what", stands->name},
                            {"result", stands->value.value_or("")}};
    }
    return json;
}

nlohmann::json hold_json(const Snapshot& snapshot, const Statement& hold) {
    return {
        {"id", hold_id(hold)},       {"snapshot", snapshot.id.hex()},
        {"source", snapshot.source}, {"since", to_rfc3339(hold.time)},
        {"reason", hold.name},       {"owner", hold.value ? nlohmann::json(*hold.value) : nlohmann::json()}};
}

nlohmann::json holds_json(const Snapshot& snapshot, const std::vector<Statement>& holds) {
    nlohmann::json items = nlohmann::json::array();
    for (const Statement& hold : holds) items.push_back(hold_json(snapshot, hold));
    return items;
}

} // namespace holdfast
