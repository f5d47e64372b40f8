#include "server/deletion_trail.h"

#include "base/error.h"
#include "base/json_text.h"
#include "repository/protocol/protocol_object.h"
#include "repository/protocol/snapshot_list.h"
#include "repository/protocol/text_form.h"

#include <algorithm>
#include <map>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace holdfast {

namespace {

// Of one transaction of the catalog, which others wait for.
constexpr std::size_t most_at_once = 1'000;

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

struct Forgotten {
    std::string source, snapshot;
    nlohmann::json reasons;
    bool before = false; // as the operation found it
};

// Of a snapshot that was there a moment ago; empty: that is not known.
std::string source_of(const RepositoryView* view, const std::string& snapshot) {
    if (view == nullptr) return {};
    const auto& all = view->measurements.snapshots;
    const auto found =
        std::ranges::find(all, snapshot, [](const auto& one) { return one.snapshot.id.hex(); });
    if (found != all.end()) return found->snapshot.source;
    // As it was seen, also when this server has forgotten it since.
    for (const RetentionSource& source : view->measurements.retention)
        if (std::ranges::find(source.subjects, snapshot, &RetentionSubject::id) != source.subjects.end())
            return source.source;
    return {};
}

// What a retention run, or a deletion by hand, says that it forgot.
std::vector<Forgotten> forgotten_by(const Operation& operation, const ExecutionOutcome& outcome) {
    std::vector<Forgotten> forgotten;
    const auto result = nlohmann::json::parse(outcome.result.value_or("{}"), nullptr, false);
    if (!result.is_object() || result.value("dry_run", false)) return forgotten;
    if (operation.kind == "forget") {
        const auto before = result.value("forgotten_before", nlohmann::json::array());
        for (const auto& id : result.value("forgotten", nlohmann::json::array()))
            forgotten.push_back({"", id.get<std::string>(), nlohmann::json::array({"asked for"}),
                                 std::ranges::find(before, id) != before.end()});
    }
    if (operation.kind != "retention") return forgotten;
    for (const auto& source : result.value("sources", nlohmann::json::array())) {
        for (const auto& snapshot : source.value("snapshots", nlohmann::json::array())) {
            if (snapshot.value("forgotten", false))
                forgotten.push_back({source.value("source", ""), snapshot.value("id", ""),
                                     snapshot.value("reasons", nlohmann::json::array()), false});
        }
    }
    return forgotten;
}

} // namespace

std::size_t DeletionTrail::catch_up(Repository& repository, const std::stop_token& stop) {
    std::vector<std::string> unseen;
    for (std::string& name : list_names(repository.store(), forgets_prefix))
        if (!seen_.contains(name)) unseen.push_back(std::move(name));
    if (unseen.size() > most_at_once) unseen.resize(most_at_once);
    const std::size_t entered = enter(repository, unseen, stop);
    seen_.insert(unseen.begin(), unseen.end());
    return entered;
}

std::size_t DeletionTrail::enter(Repository& repository, const std::vector<std::string>& names,
                                 const std::stop_token& stop) {
    std::map<std::string, std::string> name_of; // by the snapshot
    std::vector<std::string> snapshots;
    for (const std::string& name : names) {
        const auto parsed = parse_name(name);
        if (!parsed || parsed->kind != NameKind::forget) continue;
        snapshots.push_back(parsed->owner.hex());
        name_of.emplace(snapshots.back(), name);
    }
    std::vector<std::string> missing;
    for (const std::string& snapshot : audit_.without(forget_action, snapshots))
        missing.push_back(name_of.at(snapshot));
    std::vector<Audit::Deed> deeds;
    const auto rejected = [&](const Error& error) {
        logger_.warning("a deletion is not in the audit trail: it does not count",
                        {{"reason", error.message()}});
    };
    for (const Forget& forget : read_forgets(repository.context(), missing, rejected)) {
        if (stop.stop_requested()) throw Error(ErrorCode::cancelled, "it was stopped");
        nlohmann::json details = {{"found", "in the repository"}};
        if (forget.time) details["time"] = to_rfc3339(*forget.time);
        add_snapshot(repository, forget.snapshot, details);
        deeds.push_back({.actor = fmt::format("key {}", forget.writer.hex()),
                         .object = forget.snapshot.hex(),
                         .details = json_text(details)});
    }
    return audit_.append_missing(forget_action, deeds);
}

std::vector<std::string> forgotten_ids(const Operation& operation, const ExecutionOutcome& outcome) {
    std::vector<std::string> ids;
    try {
        for (Forgotten& one : forgotten_by(operation, outcome)) ids.push_back(std::move(one.snapshot));
    } catch (const nlohmann::json::exception&) { // enter_deletions_of() tells
        ids.clear();
    }
    return ids;
}

std::size_t enter_deletions_of(Database& database, Audit& audit, const Operation& operation,
                               const ExecutionOutcome& outcome, const RepositoryView* view, Logger& logger) {
    std::vector<Forgotten> forgotten;
    try {
        forgotten = forgotten_by(operation, outcome);
    } catch (const nlohmann::json::exception& error) {
        logger.error("what an operation forgot is not in the trail: its result makes no sense",
                     {{"operation", operation.id}, {"reason", std::string(error.what())}});
    }
    // Somebody else's deed, or that of an attempt which did not come to tell of it.
    std::erase_if(forgotten, [&](const Forgotten& one) {
        return one.before && (operation.attempts < 2 || audit.without(forget_action, {one.snapshot}).empty());
    });
    // Even if one was found in the repository just now: this says why.
    for (const Forgotten& one : forgotten) {
        const nlohmann::json details = {
            {"source", one.source.empty() ? source_of(view, one.snapshot) : one.source},
            {"reasons", one.reasons},
            {"operation", operation.id}};
        audit.append(database, operation.requested_by, forget_action, one.snapshot, json_text(details));
    }
    return forgotten.size();
}

} // namespace holdfast
