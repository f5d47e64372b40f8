#include "server/own_deeds.h"

#include "base/error.h"
#include "repository/protocol/snapshot_list.h"
#include "server/deletion_trail.h"

#include <algorithm>
#include <set>

#include <nlohmann/json.hpp>

namespace holdfast {

namespace {

constexpr auto longest_wait = std::chrono::seconds(2);

const RunId& id_of(const AnnotatedSnapshot& one) { return one.snapshot.id; }

// Where it belongs: they are listed newest first.
void add(ProtectionStatus& seen, const AnnotatedSnapshot& made) {
    auto& all = seen.snapshots;
    if (std::ranges::find(all, made.snapshot.id, id_of) != all.end()) return;
    const auto older = std::ranges::find_if(
        all, [&](const AnnotatedSnapshot& one) { return one.snapshot.end <= made.snapshot.end; });
    all.insert(older, made);
}

Standing standing_now(Repository& repository, const Snapshot& snapshot) {
    return standing_of(snapshot, list_statements(repository.context()).statements);
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
    try {
        observer.learn(
            [id = snapshot.id, standing = standing_now(repository, snapshot)](ProtectionStatus& seen) {
                const auto found = std::ranges::find(seen.snapshots, id, id_of);
                if (found != seen.snapshots.end()) found->standing = standing;
            });
    } catch (const Error&) { // see the header
    }
}

void learn_what_is_gone(RepositoryObserver& observer, const Operation& operation,
                        const ExecutionOutcome& outcome) {
    const std::vector<std::string> ids = forgotten_ids(operation, outcome);
    if (ids.empty()) return;
    observer.learn([gone = std::set<std::string>(ids.begin(), ids.end())](ProtectionStatus& seen) {
        std::erase_if(seen.snapshots,
                      [&](const AnnotatedSnapshot& one) { return gone.contains(one.snapshot.id.hex()); });
    });
}

void NewSnapshots::run(const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    running_ = true;
    while (changed_.wait(lock, stop, [&] { return !wanted_.empty(); }) && !stop.stop_requested()) {
        const std::shared_ptr<Wanted> next = wanted_.front();
        wanted_.pop_front();
        lock.unlock();
        read(next->snapshot);
        lock.lock();
        next->known = true;
        changed_.notify_all();
    }
    running_ = false;
    changed_.notify_all();
}

void NewSnapshots::learn(const Operation& operation, const ExecutionOutcome& outcome) {
    const auto id = made_by(operation, outcome);
    if (!id) return;
    const auto wanted = std::make_shared<Wanted>(*id);
    std::unique_lock lock(mutex_);
    if (!running_) return;
    wanted_.push_back(wanted);
    changed_.notify_all();
    changed_.wait_for(lock, longest_wait, [&] { return wanted->known || !running_; });
}

void NewSnapshots::read(const RunId& snapshot) {
    try {
        const auto made = desk_.with([&](Repository& repository) -> std::optional<AnnotatedSnapshot> {
            const auto found = read_snapshot(repository.context(), snapshot);
            if (!found) return std::nullopt;
            return AnnotatedSnapshot{*found, standing_now(repository, *found)};
        });
        if (made) observer_.learn([made](ProtectionStatus& seen) { add(seen, *made); });
    } catch (const std::exception& error) {
        logger_.warning("a snapshot is listed from the next look at the repository on",
                        {{"snapshot", snapshot.hex()}, {"reason", std::string(error.what())}});
    }
}

} // namespace holdfast
