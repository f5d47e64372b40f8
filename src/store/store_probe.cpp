#include "base/error.h"
#include "base/task_group.h"
#include "store/store_factory.h"

#include <atomic>
#include <set>
#include <thread>

#include <fmt/format.h>

namespace holdfast {

namespace {

// False when the store refuses to do such a thing at all; other errors are the caller's.
bool supported(const std::function<void()>& body) {
    try {
        body();
        return true;
    } catch (const Error& error) {
        if (error.code() != ErrorCode::unsupported) throw;
        return false;
    }
}

class Probe {
  public:
    Probe(Store& store, Random& random) : store_(store), prefix_("probe/" + random.id<16>().hex() + "/") {}

    StoreCapabilities run() {
        StoreCapabilities found{.tiers = store_.capabilities().tiers,
                                .largest_object_bytes = store_.capabilities().largest_object_bytes};
        try {
            found.consistent = is_consistent();
            found.put_if_absent = refuses_taken_names();
            found.server_copy = copies();
            found.object_lock = supported([&] { store_.retention(first_, {}); });
            found.versions = keeps_versions();
        } catch (...) {
            clean_up_quietly();
            throw;
        }
        clean_up();
        return found;
    }

  private:
    std::string add(const std::string& name, std::string_view content) {
        names_.insert(prefix_ + name);
        store_.put(prefix_ + name, as_bytes(content));
        return prefix_ + name;
    }

    std::set<std::string> listed() {
        std::set<std::string> names;
        for (const ObjectInfo& object : store_.list_all(prefix_)) names.insert(object.name);
        return names;
    }

    // Writes, reads, lists, removes and lists again, several times: a store that lags shows it sooner or
    // later.
    bool is_consistent() {
        bool consistent = true;
        for (int round = 0; round < 4; ++round) {
            const std::string name = prefix_ + fmt::format("consistent-{}", round);
            consistent = consistent && !store_.get(name, {}, {});
            first_ = add(fmt::format("consistent-{}", round), "content");
            consistent = consistent && store_.get(name, {}, {}).has_value() && listed() == names_;
            const std::string removed = add(fmt::format("removed-{}", round), "content");
            consistent = consistent && listed() == names_;
            store_.remove(removed, {});
            names_.erase(removed);
            consistent = consistent && !store_.get(removed, {}, {}) && listed() == names_;
        }
        return consistent;
    }

    bool refuses_taken_names() {
        const PutOptions only_if_absent{.only_if_absent = true};
        const std::string taken = prefix_ + "taken";
        names_.insert(taken);
        bool refuses = true;
        const bool knows = supported([&] {
            refuses = store_.put(taken, as_bytes("first"), only_if_absent) == PutResult::stored &&
                      store_.put(taken, as_bytes("second"), only_if_absent) == PutResult::already_there;
        });
        if (!knows || !refuses) return false;
        const std::optional<Bytes> kept = store_.get(taken, {}, {});
        return kept && as_text(*kept) == "first" && one_racer_wins();
    }

    bool one_racer_wins() {
        constexpr unsigned racers = 8;
        constexpr int rounds = 3;
        for (int round = 0; round < rounds; ++round) {
            const std::string name = prefix_ + fmt::format("race-{}", round);
            names_.insert(name);
            std::atomic<unsigned> winners = 0;
            std::atomic<unsigned> waiting = racers;
            TaskGroup group;
            for (unsigned racer = 0; racer < racers; ++racer) {
                group.start([&, racer](std::stop_token stop) {
                    --waiting;
                    while (waiting != 0 && !stop.stop_requested()) std::this_thread::yield();
                    const std::string content = fmt::format("racer {}", racer);
                    if (store_.put(name, as_bytes(content), {.only_if_absent = true}) == PutResult::stored)
                        ++winners;
                });
            }
            group.wait();
            if (winners != 1) return false;
        }
        return true;
    }

    bool copies() {
        const std::string copy = prefix_ + "copy";
        names_.insert(copy);
        bool equal = false;
        return supported([&] {
                   store_.copy(first_, copy, {}, {});
                   equal = store_.get(copy, {}, {}) == store_.get(first_, {}, {});
               }) &&
               equal;
    }

    // A store that keeps versions shows two after an object was stored twice.
    bool keeps_versions() {
        store_.put(first_, as_bytes("content"));
        std::size_t versions = 0;
        const bool knows = supported(
            [&] { store_.list_versions(first_, [&](const ObjectVersion&) { return ++versions != 0; }, {}); });
        has_versions_ = knows && versions >= 2;
        return has_versions_;
    }

    void clean_up() {
        for (const std::string& name : names_) store_.remove(name, {});
        if (!has_versions_) return;
        std::vector<std::pair<std::string, std::string>> versions;
        store_.list_versions(prefix_,
                             [&](const ObjectVersion& version) {
                                 versions.emplace_back(version.object.name, version.version);
                                 return true;
                             },
                             {});
        for (const auto& [name, version] : versions) store_.remove_version(name, version, {});
    }

    void clean_up_quietly() noexcept {
        try {
            clean_up();
        } catch (const std::exception&) {
            // The failure of the probe is the one to report.
        }
    }

    Store& store_;
    const std::string prefix_;
    std::string first_;
    std::set<std::string> names_;
    bool has_versions_ = false;
};

} // namespace

StoreCapabilities probe_capabilities(Store& store, Random& random) { return Probe(store, random).run(); }

} // namespace holdfast
