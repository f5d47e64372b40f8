#include "server/own_deeds.h"

#include "base/error.h"
#include "repository/protocol/snapshot_list.h"
#include "server/deletion_trail.h"

#include <algorithm>
#include <set>

#include <nlohmann/json.hpp>

namespace holdfast {

namespace {

const RunId& id_of(const AnnotatedSnapshot& one) { return one.snapshot.id; }

std::optional<AnnotatedSnapshot> read(Repository& repository, const RunId& id) {
    const auto snapshot = read_snapshot(repository.context(), id);
    if (!snapshot) return std::nullopt;
    return AnnotatedSnapshot{*snapshot,
                             standing_of(*snapshot, list_statements(repository.context()).statements)};
}

// Where it belongs: they are listed newest first.
void add(ProtectionStatus& seen, const AnnotatedSnapshot& made) {
    auto& all = seen.snapshots;
    if (std::ranges::find(all, made.snapshot.id, id_of) != all.end()) return;
    const auto older = std::ranges::find_if(
        all, [&](const AnnotatedSnapshot& one) { return one.snapshot.end <= made.snapshot.end; });
    all.insert(older, made);
}

// The id of the snapshot that a backup made.
std::optional<RunId> made_by(const Operation& operation, const ExecutionOutcome& outcome) {
    if (operation.kind != "backup" || !outcome.result) return std::nullopt;
    const auto result = nlohmann::json::parse(*outcome.result, nullptr, false);
    if (!result.is_object() || !result.contains("id") || !result["id"].is_string()) return std::nullopt;
    return id_from_hex<RunId::size()>(result["id"].get<std::string>());
}

} // namespace

void learn_what_is_said(RepositoryObserver& observer, Repository& repository, const Snapshot& snapshot) {
    observer.learn([id = snapshot.id,
                    standing = standing_of(snapshot, list_statements(repository.context()).statements)](
                       ProtectionStatus& seen) {
        const auto found = std::ranges::find(seen.snapshots, id, id_of);
        if (found != seen.snapshots.end()) found->standing = standing;
    });
}

void learn_what_was_done(RepositoryObserver& observer, RepositoryDesk& desk, const Operation& operation,
                         const ExecutionOutcome& outcome, Logger& logger) {
    try {
        if (const auto id = made_by(operation, outcome)) {
            const auto made = desk.with([&](Repository& repository) { return read(repository, *id); });
            if (made) observer.learn([made](ProtectionStatus& seen) { add(seen, *made); });
        }
        const std::vector<std::string> ids = forgotten_ids(operation, outcome);
        if (!ids.empty())
            observer.learn([gone = std::set<std::string>(ids.begin(), ids.end())](ProtectionStatus& seen) {
                std::erase_if(seen.snapshots, [&](const AnnotatedSnapshot& one) {
                    return gone.contains(one.snapshot.id.hex());
                });
            });
    } catch (const std::exception& error) {
        logger.warning("what an operation did is told from the next look at the repository on",
                       {{"operation", operation.id}, {"reason", std::string(error.what())}});
    }
}

} // namespace holdfast
