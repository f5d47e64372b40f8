#include "repository/snapshot_lock.h"

#include "base/at_once.h"
#include "base/error.h"
#include "repository/log/proven_path.h"
#include "repository/protocol/frame_places.h"
#include "repository/protocol/protocol_object.h"
#include "repository/protocol/reachability.h"
#include "store/stoppable_store.h"

#include <algorithm>
#include <iterator>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>

namespace holdfast {

namespace {

// Each follows a verdict that was carried out meanwhile. A prune decides once.
constexpr unsigned most_rounds = 16;
// A listing may be older than the verdict that explains it; the next one is not.
constexpr unsigned most_fruitless_rounds = 3;
constexpr std::string_view governed_hint =
    "an earlier backup locked it in governance mode, and the store lets only who may bypass such a lock make "
    "it one of compliance: back up with lock mode 'governance' until these locks have run out, or let "
    "somebody with that right change them with the tools of the store";

// Locks names, several at once.
class Locker {
  public:
    Locker(Store& store, const Retention& retention, unsigned requests_at_once)
        : store_(store), retention_(retention), requests_at_once_(requests_at_once) {}

    // Returns when all were tried: those that are locked. The others are gone.
    std::set<std::string> lock_all(const std::vector<std::string>& names, const std::stop_token& stop) {
        for_each_at_once(
            names, requests_at_once_, stop,
            [this](const std::string& name, const std::stop_token& token) { lock(name, token); });
        return std::move(locked_);
    }

  private:
    void lock(const std::string& name, const std::stop_token& token) {
        try {
            store_.retain(name, retention_, {.timeout = {}, .stop = token});
        } catch (const Error& error) {
            if (error.code() == ErrorCode::not_found) return;
            if (error.code() == ErrorCode::access_denied && is_governed(name, token))
                throw error.with_hint(std::string(governed_hint));
            throw;
        }
        const std::scoped_lock lock(mutex_);
        locked_.insert(name);
    }
    // Whether a lock of the other mode stands in the way of one of compliance.
    bool is_governed(const std::string& name, const std::stop_token& token) {
        if (retention_.mode != RetentionMode::compliance) return false;
        try {
            const std::optional<Retention> found = store_.retention(name, {.timeout = {}, .stop = token});
            return found && found->mode == RetentionMode::governance;
        } catch (const Error&) {
            return false; // what was refused first says more
        }
    }

    Store& store_;
    const Retention retention_;
    const unsigned requests_at_once_;
    std::mutex mutex_;
    std::set<std::string> locked_;
};

} // namespace

void require_object_lock(const Repository& repository) {
    if (repository.config().capabilities.object_lock) return;
    throw Error(ErrorCode::unsupported,
                fmt::format("{} cannot lock objects, or could not when the repository was created",
                            repository.store().url()),
                "back up without a lock, or create the repository in a bucket with object lock");
}

// A prune may carry out its verdict meanwhile: what it moves is to be locked where it goes. A pack is locked
// first and the verdicts are read afterwards, a prune puts its verdict first and asks for locks afterwards,
// so that one of the two sees the other. It ends when a look finds nothing that is not locked.
LockReport lock_tree(const RepositoryContext& repository, NodeReader& nodes, const NodeRef& root,
                     const Retention& retention, std::stop_token stop) {
    StoppableStore store(repository.store, stop);
    const RepositoryContext context = repository.through(store);
    ReachabilityScanner scanner(nodes);
    try {
        scanner.add_tree(root);
    } catch (const Error& error) {
        if (error.code() != ErrorCode::wrong_key) throw;
        // What lies below cannot be known, so that it cannot be locked.
        throw error.with_hint("its local cache was lost meanwhile, or a prune that gave this run up has "
                              "moved it to where this key does not read: back up again");
    }

    std::set<std::string> wanted{std::string(config_name)};
    for (const std::string_view prefix : {slots_prefix, grants_prefix}) {
        for (std::string& name : list_names(store, prefix)) wanted.insert(std::move(name));
    }
    std::set<std::string> locked;
    unsigned fruitless = 0;
    for (unsigned round = 0;; ++round) {
        const FramePlaces places(context, scanner.frames());
        wanted.insert(places.names().begin(), places.names().end());
        const bool all_locked =
            std::ranges::all_of(wanted, [&](const std::string& name) { return locked.contains(name); });
        if (all_locked && !places.missing()) break;
        if (all_locked && ++fruitless == most_fruitless_rounds) {
            throw Error(
                ErrorCode::corrupt,
                fmt::format("{}: frames of it that the snapshot needs are missing", places.missing()->name()),
                "see what else is damaged with 'holdfast verify', and back up again");
        }
        if (round == most_rounds) {
            throw Error(ErrorCode::unavailable, "packs of the snapshot go while they are being locked",
                        "back up again when no 'holdfast prune' is running");
        }
        std::vector<std::string> unlocked;
        std::ranges::set_difference(wanted, locked, std::back_inserter(unlocked));
        locked.merge(Locker(store, retention, context.requests_at_once).lock_all(unlocked, stop));
        wanted.clear(); // what is gone is not looked for any longer
        if (!context.steps.look_behind_locks) break;
    }
    const auto packs = std::ranges::count_if(
        locked, [](const std::string& name) { return PackId::from_name(name).has_value(); });
    return {retention.until, static_cast<std::uint64_t>(packs)};
}

// What a listing names may be gone before it is locked, when a longer slice has come: that is in the next
// one.
std::uint64_t lock_log(const RepositoryContext& repository, const SnapshotLog& log,
                       const Retention& retention, std::stop_token stop) {
    StoppableStore store(repository.store, stop);
    const LogReader reader(repository);
    ProvenPaths proven(reader);
    std::set<std::string> locked;
    for (unsigned round = 0; round < most_rounds; ++round) {
        const std::vector<PathStep> path =
            proven.find(list_slices_of(store, log.archive, log.range), log.range, {.stop = stop});
        if (path.empty() || path.back().end < log.range.end) {
            throw Error(ErrorCode::corrupt,
                        fmt::format("{}{}: log that the snapshot needs is missing, from {:X} on", logs_prefix,
                                    log.archive.hex(), path.empty() ? log.range.begin : path.back().end),
                        "see what else is damaged with 'holdfast verify', and back up again");
        }
        std::vector<std::string> wanted;
        const auto want = [&](const LogSliceId& slice) {
            if (!locked.contains(slice.name())) wanted.push_back(slice.name());
        };
        for (const PathStep& step : path) want(step.slice);
        for (const LogSliceId& slice : list_branch_slices(store, log.archive, log.range.branch)) want(slice);
        if (wanted.empty()) return locked.size();
        locked.merge(Locker(store, retention, repository.requests_at_once).lock_all(wanted, stop));
    }
    throw Error(ErrorCode::unavailable, "slices of the log go while they are being locked",
                "back up again when no 'holdfast prune' is running");
}

} // namespace holdfast
