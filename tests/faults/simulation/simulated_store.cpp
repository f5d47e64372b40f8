#include "faults/simulation/simulated_store.h"

#include "base/error.h"

#include <algorithm>

#include <fmt/format.h>

namespace holdfast::simulation {

namespace {

constexpr std::size_t listing_page = 3;

Error lost() { return Error(ErrorCode::timed_out, "the answer was lost", "", true); }

ObjectInfo info_of(const std::string& name, const StoredObject& object) {
    return {.name = name,
            .size_bytes = object.bytes->size(),
            .modified = object.modified,
            .token = {},
            .tier = {}};
}

} // namespace

StoreCapabilities Connection::capabilities() const {
    StoreCapabilities capabilities;
    capabilities.put_if_absent = true;
    capabilities.consistent = true;
    capabilities.object_lock = true;
    capabilities.largest_object_bytes = UINT64_MAX;
    return capabilities;
}

void Connection::trace(std::string_view how, std::string_view what) const {
    if (!objects_.trace) return;
    objects_.trace(fmt::format("{:>10.3f} s  {:<12} {} {}",
                               std::chrono::duration<double>(scheduler_.now()).count(), actor_, how, what));
}

Connection::Fate Connection::begin(const std::string& what, bool deciding) {
    // What unwinds behind its death has no effect any more.
    if (dies_at_ >= 0 && operations_ >= dies_at_) {
        if (operations_++ == dies_at_) trace("is killed before", what);
        throw ActorKilled{};
    }
    ++operations_;
    ++objects_.operations;
    Duration wait = scheduler_.random_duration(std::chrono::milliseconds(50));
    const bool slow = !nastiness_.slow_place.empty() && what.starts_with(nastiness_.slow_place);
    if (scheduler_.chance(deciding || slow ? nastiness_.pause_deciding : nastiness_.pause)) {
        wait = scheduler_.random_duration(nastiness_.longest_pause);
        trace(fmt::format("sleeps {:.0f} s before", std::chrono::duration<double>(wait).count()), what);
    }
    scheduler_.yield(wait);
    std::uint64_t roll = scheduler_.random().below(1000);
    for (const auto& [chance, fate] :
         {std::pair{nastiness_.lost_request, Fate::lost_request},
          std::pair{nastiness_.lost_answer, Fate::lost_answer}, std::pair{nastiness_.delayed, Fate::delayed},
          std::pair{nastiness_.repeated, Fate::repeated}}) {
        if (roll < chance) return fate;
        roll -= chance;
    }
    return Fate::normal;
}

// What an operation has learnt may be old by the time its actor knows it.
void Connection::end() {
    if (scheduler_.chance(nastiness_.pause)) {
        scheduler_.yield(scheduler_.random_duration(nastiness_.longest_pause));
    }
}

void Connection::read(const std::string& what, bool deciding) {
    const Fate fate = begin(what, deciding);
    if (fate == Fate::lost_request || fate == Fate::lost_answer) throw lost();
}

void Connection::later(std::function<void()> body) {
    const Duration delay = scheduler_.chance(500) ? scheduler_.uniform_duration(nastiness_.longest_delay)
                                                  : scheduler_.random_duration(nastiness_.longest_delay);
    scheduler_.at(scheduler_.now() + delay, std::move(body));
}

PutResult Connection::land_put(const std::string& name, const std::shared_ptr<const Bytes>& bytes,
                               const PutOptions& put_options, std::string_view how) {
    if (put_options.only_if_absent && objects_.by_name.contains(name)) {
        trace(how, "put, taken: " + name);
        return PutResult::already_there;
    }
    trace(how, "put " + name);
    objects_.by_name[name] = {bytes, time()};
    if (put_options.retention) land_lock(name, *put_options.retention, how);
    return PutResult::stored;
}

void Connection::land_lock(const std::string& name, const Retention& retention, std::string_view how) {
    if (!objects_.by_name.contains(name)) throw Error(ErrorCode::not_found, "there is no " + name);
    trace(how, "lock " + name);
    Timestamp& until = objects_.locks[name];
    until = std::max(until, retention.until);
}

void Connection::land_remove(const std::string& name, std::string_view how) {
    const bool locked = objects_.is_locked(name, time());
    if (locked && !objects_.hides_locked) throw Error(ErrorCode::access_denied, name + " is locked");
    trace(how, (locked ? "hide " : "remove ") + name);
    objects_.by_name.erase(name);
}

PutResult Connection::put(const std::string& name, std::span<const ByteView> parts,
                          const PutOptions& put_options, const CallOptions&) {
    auto bytes = std::make_shared<Bytes>();
    for (const ByteView part : parts) bytes->insert(bytes->end(), part.begin(), part.end());
    const bool first_beat = name.starts_with("intents/") && name.ends_with("-00000000");
    const bool deciding = first_beat || name.starts_with("commits/") || name.starts_with("condemned/") ||
                          name.starts_with("verdicts/");
    const Fate fate = begin("put " + name, deciding);
    if (name.starts_with("commits/")) objects_.commits_tried.insert(name);
    if (fate == Fate::lost_request) throw lost();
    if (fate == Fate::delayed || fate == Fate::repeated) {
        later([this, name, bytes, put_options] { land_put(name, bytes, put_options, "(late)"); });
        if (fate == Fate::delayed) throw lost();
    }
    const PutResult result = land_put(name, bytes, put_options, "");
    if (fate == Fate::lost_answer) throw lost();
    end();
    return result;
}

void Connection::remove(const std::string& name, const CallOptions&) {
    const Fate fate = begin("remove " + name, false);
    if (fate == Fate::lost_request) throw lost();
    if (fate == Fate::delayed || fate == Fate::repeated) {
        later([this, name] {
            if (objects_.hides_locked || !objects_.is_locked(name, time())) land_remove(name, "(late)");
        });
        if (fate == Fate::delayed) throw lost();
    }
    land_remove(name, "");
    if (fate == Fate::lost_answer) throw lost();
    end();
}

void Connection::retain(const std::string& name, const Retention& retention, const CallOptions&) {
    const Fate fate = begin("lock " + name, false);
    if (fate == Fate::lost_request) throw lost();
    if (fate == Fate::delayed || fate == Fate::repeated) {
        later([this, name, retention] {
            if (objects_.by_name.contains(name)) land_lock(name, retention, "(late)");
        });
        if (fate == Fate::delayed) throw lost();
    }
    land_lock(name, retention, "");
    if (fate == Fate::lost_answer) throw lost();
    end();
}

std::optional<Retention> Connection::retention(const std::string& name, const CallOptions&) {
    read("retention " + name);
    if (!objects_.by_name.contains(name)) throw Error(ErrorCode::not_found, "there is no " + name);
    std::optional<Retention> lock;
    const auto found = objects_.locks.find(name);
    if (found != objects_.locks.end()) lock = Retention{.until = found->second};
    end();
    return lock;
}

std::optional<Bytes> Connection::get(const std::string& name, ByteRange range, const CallOptions&) {
    read("get " + name);
    const auto found = objects_.by_name.find(name);
    trace("", (found == objects_.by_name.end() ? "get, absent: " : "get ") + name);
    std::optional<Bytes> result;
    if (found != objects_.by_name.end()) {
        const Bytes& bytes = *found->second.bytes;
        const std::uint64_t from = std::min<std::uint64_t>(range.offset, bytes.size());
        const std::uint64_t length = std::min<std::uint64_t>(range.length, bytes.size() - from);
        const auto begin = bytes.begin() + static_cast<std::ptrdiff_t>(from);
        result = Bytes(begin, begin + static_cast<std::ptrdiff_t>(length));
    }
    end();
    return result;
}

std::optional<ObjectInfo> Connection::head(const std::string& name, const CallOptions&) {
    read("head " + name);
    const auto found = objects_.by_name.find(name);
    if (found == objects_.by_name.end()) return std::nullopt;
    return info_of(name, found->second);
}

void Connection::list(const std::string& prefix, const std::string& after,
                      const std::function<bool(const ObjectInfo&)>& visit, const CallOptions&) {
    std::string last = std::max(prefix, after);
    std::set<std::string> there;
    for (auto at = objects_.by_name.lower_bound(last); at != objects_.by_name.end(); ++at) {
        if (!at->first.starts_with(prefix)) break;
        there.insert(at->first);
    }
    const bool shows_newcomers = scheduler_.chance(500);
    for (;;) {
        read("list " + prefix, prefix == "intents/");
        std::vector<ObjectInfo> page;
        auto at = last == prefix && after < prefix ? objects_.by_name.lower_bound(last)
                                                   : objects_.by_name.upper_bound(last);
        for (; at != objects_.by_name.end() && at->first.starts_with(prefix) && page.size() < listing_page;
             ++at) {
            if (shows_newcomers || there.contains(at->first)) page.push_back(info_of(at->first, at->second));
        }
        trace("", fmt::format("list {} ({} behind '{}')", prefix, page.size(), last));
        for (const ObjectInfo& info : page) {
            if (!visit(info)) return;
        }
        if (page.size() < listing_page) return;
        last = page.back().name;
    }
}

} // namespace holdfast::simulation
