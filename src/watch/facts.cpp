#include "watch/facts.h"

#include "watch/trial.h"

#include <ranges>

#include <nlohmann/json.hpp>

namespace holdfast {

namespace {

// Enough to find the last of each kind, also of those that run seldom.
constexpr std::size_t most_looked_at = 200;

std::string member(const nlohmann::json& json, const char* key) {
    const auto at = json.is_object() ? json.find(key) : json.end();
    return json.is_object() && at != json.end() && at->is_string() ? at->get<std::string>() : std::string();
}

// Of operations that come newest first.
void take_note(const Operation& operation, std::map<std::string, OperationFacts>& facts) {
    // One that was put back after a failure has not failed yet, and one that waits says nothing.
    if (operation.state == OperationState::queued || operation.state == OperationState::cancelled) return;
    const auto [at, first] = facts.try_emplace(operation.kind);
    OperationFacts& of_kind = at->second;
    if (first) {
        of_kind.state = operation.state;
        of_kind.created = operation.created;
        of_kind.started = operation.started;
        of_kind.ended = operation.ended;
        of_kind.id = operation.id;
        if (operation.error && operation.state == OperationState::failed) {
            const auto error = nlohmann::json::parse(*operation.error, nullptr, false);
            of_kind.error_code = member(error, "code");
            of_kind.error = error.is_object() ? member(error, "message") : *operation.error;
        }
    }
    if (!of_kind.last_success && operation.state == OperationState::succeeded && operation.ended) {
        of_kind.last_success = operation.ended;
        if (operation.started) of_kind.last_success_took = *operation.ended - *operation.started;
    }
}

} // namespace

const BackupFacts* SourceFacts::newest() const { return backups.empty() ? nullptr : &backups.back(); }

const BackupFacts* SourceFacts::newest_good() const {
    for (const BackupFacts& backup : std::views::reverse(backups))
        if (backup.good) return &backup;
    return nullptr;
}

std::map<std::string, OperationFacts> operation_facts(Operations& operations, const std::string& source) {
    OperationFilter filter;
    filter.source = source;
    filter.limit = most_looked_at;
    std::map<std::string, OperationFacts> facts;
    for (const Operation& operation : operations.list(filter)) take_note(operation, facts);
    return facts;
}

std::map<std::string, OperationFacts> repository_operation_facts(Operations& operations) {
    std::map<std::string, OperationFacts> facts;
    for (const char* kind : {"retention", "prune"}) {
        OperationFilter filter;
        filter.kind = kind;
        filter.limit = most_looked_at;
        // What was done about one source alone says nothing of the others.
        for (const Operation& operation : operations.list(filter))
            if (!operation.source && !is_trial(operation)) take_note(operation, facts);
    }
    return facts;
}

std::optional<double> recovery_seconds_of(std::string_view result) {
    const auto json = nlohmann::json::parse(result, nullptr, false);
    if (!json.is_object()) return std::nullopt;
    double seconds = 0;
    for (const char* phase : {"restore_seconds", "start_seconds", "recovery_seconds", "ready_seconds"}) {
        const auto at = json.find(phase);
        if (at == json.end() || !at->is_number()) return std::nullopt;
        seconds += at->get<double>();
    }
    return seconds;
}

} // namespace holdfast
