#include "repository/snapshot_lock.h"

#include "base/bounded_queue.h"
#include "base/error.h"
#include "base/task_group.h"
#include "repository/protocol/reachability.h"

#include <set>
#include <string>

#include <fmt/format.h>

namespace holdfast {

namespace {

constexpr unsigned requests_at_once = 8;

// Locks names from several threads.
class Locker {
  public:
    Locker(Store& store, const Retention& retention, std::stop_token stop)
        : store_(store), retention_(retention), names_(1024), threads_(std::move(stop)) {
        for (unsigned i = 0; i < requests_at_once; ++i) {
            threads_.start([this](std::stop_token token) {
                while (const std::optional<std::string> name = names_.pop(token))
                    store_.retain(*name, retention_, {.timeout = {}, .stop = token});
            });
        }
    }
    void add(std::string name) {
        if (!names_.push(std::move(name), 1, threads_.stop_token())) finish();
    }
    // Returns when all are locked.
    void finish() {
        names_.close();
        threads_.wait();
    }

  private:
    Store& store_;
    const Retention retention_;
    BoundedQueue<std::string> names_;
    TaskGroup threads_; // last: joined before the rest goes
};

// The packs in which the frames lie now.
std::set<std::string> packs_of(Repository& repository, const FrameSet& frames, const CallOptions& call) {
    std::set<std::string> listed;
    repository.store().list(
        std::string(packs_prefix), "",
        [&](const ObjectInfo& info) {
            const auto pack = PackId::from_name(info.name);
            if (pack && frames.any_of(*pack)) listed.insert(info.name);
            return true;
        },
        call);
    std::set<std::string> packs = listed;
    for (const auto& [pack, wanted] : frames.packs()) {
        if (listed.contains(pack.name())) continue;
        for (std::uint32_t number = 0; number < wanted.size(); ++number) {
            if (wanted[number]) packs.insert(repository.packs().holder_of({pack, number})->name);
        }
    }
    return packs;
}

} // namespace

void require_object_lock(const Repository& repository) {
    if (repository.config().capabilities.object_lock) return;
    throw Error(ErrorCode::unsupported,
                fmt::format("{} cannot lock objects, or could not when the repository was created",
                            repository.store().url()),
                "back up without a lock, or create the repository in a bucket with object lock");
}

LockReport lock_tree(Repository& repository, const NodeRef& root, const Retention& retention,
                     std::stop_token stop) {
    const CallOptions call{.timeout = {}, .stop = stop};
    ReachabilityScanner scanner(repository.nodes());
    scanner.add_tree(root);
    const std::set<std::string> packs = packs_of(repository, scanner.frames(), call);

    Locker locker(repository.store(), retention, stop);
    for (const std::string& name : packs) locker.add(name);
    locker.add(std::string(config_name));
    for (const std::string_view prefix : {slots_prefix, grants_prefix, moved_prefix}) {
        for (const ObjectInfo& object : repository.store().list_all(std::string(prefix), call))
            locker.add(object.name);
    }
    locker.finish();
    return {retention.until, packs.size()};
}

} // namespace holdfast
