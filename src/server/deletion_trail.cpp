#include "server/deletion_trail.h"

#include "base/error.h"
#include "repository/protocol/protocol_object.h"
#include "repository/protocol/snapshot_list.h"
#include "repository/protocol/text_form.h"

#include <map>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace holdfast {

namespace {

// What it was, if that can still be read.
void add_snapshot(Repository& repository, const RunId& id, nlohmann::json& details) {
    try {
        const auto snapshot = read_snapshot(repository.context(), id);
        if (!snapshot) return;
        details["source"] = to_text_form(snapshot->source);
        details["snapshot_time"] = to_rfc3339(snapshot->time);
    } catch (const Error& error) {
        if (error.retryable()) throw;
    }
}

} // namespace

std::size_t DeletionTrail::catch_up(Repository& repository) {
    std::map<std::string, RunId> unseen;
    for (const std::string& name : list_names(repository.store(), forgets_prefix)) {
        const auto parsed = parse_name(name);
        if (parsed && parsed->kind == NameKind::forget && !entered_.contains(parsed->owner))
            unseen.emplace(parsed->owner.hex(), parsed->owner);
    }
    std::vector<std::string> objects;
    for (const auto& [object, run] : unseen) objects.push_back(object);
    std::set<RunId> missing;
    for (const std::string& object : audit_.without(forget_action, objects))
        missing.insert(unseen.at(object));
    std::vector<Audit::Deed> deeds;
    if (!missing.empty()) {
        for (const Forget& forget : list_forgets(
                 repository.context(), [&](const RunId& run) { return missing.contains(run); },
                 [](const Error&) {})) {
            nlohmann::json details = {{"found", "in the repository"}};
            if (forget.time) details["time"] = to_rfc3339(*forget.time);
            add_snapshot(repository, forget.snapshot, details);
            deeds.push_back({.actor = fmt::format("key {}", forget.writer.hex()),
                             .object = forget.snapshot.hex(),
                             .details = details.dump()});
        }
    }
    const std::size_t appended = audit_.append_missing(forget_action, deeds);
    for (const auto& [object, run] : unseen) entered_.insert(run);
    return appended;
}

} // namespace holdfast
