#include "store/memory_store.h"

#include "base/error.h"
#include "store/object_name.h"

#include <algorithm>

#include <fmt/format.h>

namespace holdfast {

namespace {

void check_call(const CallOptions& options) {
    if (options.stop.stop_requested()) throw Error(ErrorCode::cancelled, "a call to the store was stopped");
}

Error no_such_object(const std::string& name) {
    return Error(ErrorCode::not_found, fmt::format("there is no object {}", name));
}

} // namespace

MemoryStore::MemoryStore(MemoryStoreSettings settings) : settings_(std::move(settings)) {}

std::string MemoryStore::url() const { return "memory:"; }
StoreCapabilities MemoryStore::capabilities() const { return settings_.capabilities; }

void MemoryStore::require(bool capability, std::string_view what) const {
    if (!capability) throw Error(ErrorCode::unsupported, fmt::format("{} cannot {}", url(), what));
}

MemoryStore::Version* MemoryStore::latest(const std::string& name) {
    const auto found = objects_.find(name);
    if (found == objects_.end() || !found->second.back().data) return nullptr;
    return &found->second.back();
}

MemoryStore::Version& MemoryStore::existing(const std::string& name) {
    if (Version* version = latest(name)) return *version;
    throw no_such_object(name);
}

bool MemoryStore::locked(const Version& version) const {
    return version.retention && version.retention->until > settings_.clock->now();
}

bool MemoryStore::cold(const Version& version) const {
    return !settings_.capabilities.tiers.empty() &&
           version.info.tier != settings_.capabilities.tiers.front() &&
           version.thaws <= settings_.pending_thaws;
}

MemoryStore::Version MemoryStore::make_version(const std::string& name, std::shared_ptr<const Bytes> data) {
    Version version;
    version.version = fmt::format("{:016x}", next_version_++);
    version.info = {.name = name,
                    .size_bytes = data ? data->size() : 0,
                    .modified = settings_.clock->now(),
                    .token = version.version,
                    .tier = settings_.capabilities.tiers.empty() ? "" : settings_.capabilities.tiers.front()};
    version.data = std::move(data);
    return version;
}

PutResult MemoryStore::store(const std::string& name, std::shared_ptr<const Bytes> data,
                             const PutOptions& put_options) {
    const StoreCapabilities& can = settings_.capabilities;
    require(!put_options.only_if_absent || can.put_if_absent, "put only if absent");
    require(!put_options.retention || can.object_lock, "lock objects");
    require(put_options.tier.empty() || std::ranges::count(can.tiers, put_options.tier) == 1,
            fmt::format("store in tier '{}'", put_options.tier));
    if (data->size() > can.largest_object_bytes) {
        throw Error(ErrorCode::no_space, fmt::format("{} is larger than an object may be", name));
    }
    Version* taken = latest(name);
    if (put_options.only_if_absent && taken != nullptr) return PutResult::already_there;
    if (!can.versions && taken != nullptr && locked(*taken)) {
        throw Error(ErrorCode::access_denied, fmt::format("{} is locked", name));
    }
    Version version = make_version(name, std::move(data));
    version.retention = put_options.retention;
    if (!put_options.tier.empty()) version.info.tier = put_options.tier;
    Versions& versions = objects_[name];
    if (!can.versions) versions.clear();
    versions.push_back(std::move(version));
    return PutResult::stored;
}

PutResult MemoryStore::put(const std::string& name, std::span<const ByteView> parts,
                           const PutOptions& put_options, const CallOptions& options) {
    check_call(options);
    check_object_name(name);
    auto data = std::make_shared<Bytes>();
    for (const ByteView part : parts) data->insert(data->end(), part.begin(), part.end());
    const std::scoped_lock lock(mutex_);
    return store(name, std::move(data), put_options);
}

Bytes MemoryStore::read(const Version& version, ByteRange range) const {
    if (cold(version)) {
        throw Error(ErrorCode::unavailable,
                    fmt::format("{} is in the cold tier '{}'", version.info.name, version.info.tier),
                    "ask for it back (thaw) and try again when it is ready");
    }
    const std::uint64_t size = version.data->size();
    const std::uint64_t begin = std::min(range.offset, size);
    const std::uint64_t end = begin + std::min(range.length, size - begin);
    return Bytes(version.data->begin() + static_cast<std::ptrdiff_t>(begin),
                 version.data->begin() + static_cast<std::ptrdiff_t>(end));
}

std::optional<Bytes> MemoryStore::get(const std::string& name, ByteRange range, const CallOptions& options) {
    check_call(options);
    check_object_name(name);
    const std::scoped_lock lock(mutex_);
    const Version* version = latest(name);
    if (version == nullptr) return std::nullopt;
    return read(*version, range);
}

std::optional<ObjectInfo> MemoryStore::head(const std::string& name, const CallOptions& options) {
    check_call(options);
    check_object_name(name);
    const std::scoped_lock lock(mutex_);
    const Version* version = latest(name);
    if (version == nullptr) return std::nullopt;
    return version->info;
}

void MemoryStore::list(const std::string& prefix, const std::string& after,
                       const std::function<bool(const ObjectInfo&)>& visit, const CallOptions& options) {
    check_object_prefix(prefix);
    constexpr std::size_t page_size = 1000;
    std::string last = after;
    for (;;) {
        check_call(options);
        std::vector<ObjectInfo> page;
        {
            const std::scoped_lock lock(mutex_);
            auto at = last < prefix ? objects_.lower_bound(prefix) : objects_.upper_bound(last);
            for (; at != objects_.end() && at->first.starts_with(prefix) && page.size() < page_size; ++at) {
                if (at->second.back().data) page.push_back(at->second.back().info);
            }
        }
        for (const ObjectInfo& object : page) {
            if (!visit(object)) return;
        }
        if (page.size() < page_size) return;
        last = page.back().name;
    }
}

void MemoryStore::remove(const std::string& name, const CallOptions& options) {
    check_call(options);
    check_object_name(name);
    const std::scoped_lock lock(mutex_);
    const Version* version = latest(name);
    if (version == nullptr) return;
    if (settings_.capabilities.versions) {
        objects_[name].push_back(make_version(name, nullptr));
        return;
    }
    if (locked(*version)) throw Error(ErrorCode::access_denied, fmt::format("{} is locked", name));
    objects_.erase(name);
}

void MemoryStore::retain(const std::string& name, const Retention& retention, const CallOptions& options) {
    check_call(options);
    require(settings_.capabilities.object_lock, "lock objects");
    const std::scoped_lock lock(mutex_);
    std::optional<Retention>& current = existing(name).retention;
    if (!current) {
        current = retention;
        return;
    }
    current->until = std::max(current->until, retention.until);
    if (retention.mode == RetentionMode::compliance) current->mode = RetentionMode::compliance;
}

std::optional<Retention> MemoryStore::retention(const std::string& name, const CallOptions& options) {
    check_call(options);
    require(settings_.capabilities.object_lock, "lock objects");
    const std::scoped_lock lock(mutex_);
    return existing(name).retention;
}

void MemoryStore::list_versions(const std::string& prefix,
                                const std::function<bool(const ObjectVersion&)>& visit,
                                const CallOptions& options) {
    check_call(options);
    check_object_prefix(prefix);
    require(settings_.capabilities.versions, "keep versions");
    std::vector<ObjectVersion> found;
    {
        const std::scoped_lock lock(mutex_);
        for (auto at = objects_.lower_bound(prefix); at != objects_.end() && at->first.starts_with(prefix);
             ++at) {
            const Versions& versions = at->second;
            for (auto version = versions.rbegin(); version != versions.rend(); ++version) {
                found.push_back(
                    {version->info, version->version, version == versions.rbegin(), !version->data});
            }
        }
    }
    for (const ObjectVersion& version : found) {
        if (!visit(version)) return;
    }
}

std::optional<Bytes> MemoryStore::get_version(const std::string& name, const std::string& version,
                                              ByteRange range, const CallOptions& options) {
    check_call(options);
    require(settings_.capabilities.versions, "keep versions");
    const std::scoped_lock lock(mutex_);
    const auto found = objects_.find(name);
    if (found == objects_.end()) return std::nullopt;
    const auto at = std::ranges::find(found->second, version, &Version::version);
    if (at == found->second.end() || !at->data) return std::nullopt;
    return read(*at, range);
}

void MemoryStore::remove_version(const std::string& name, const std::string& version,
                                 const CallOptions& options) {
    check_call(options);
    require(settings_.capabilities.versions, "keep versions");
    const std::scoped_lock lock(mutex_);
    const auto found = objects_.find(name);
    if (found == objects_.end()) return;
    const auto at = std::ranges::find(found->second, version, &Version::version);
    if (at == found->second.end()) return;
    if (locked(*at))
        throw Error(ErrorCode::access_denied, fmt::format("version {} of {} is locked", version, name));
    found->second.erase(at);
    if (found->second.empty()) objects_.erase(found);
}

void MemoryStore::set_tier(const std::string& name, const std::string& tier, const CallOptions& options) {
    check_call(options);
    require(std::ranges::count(settings_.capabilities.tiers, tier) == 1,
            fmt::format("store in tier '{}'", tier));
    const std::scoped_lock lock(mutex_);
    Version& version = existing(name);
    version.info.tier = tier;
    version.thaws = 0;
}

ThawResult MemoryStore::thaw(const std::string& name, Duration, const CallOptions& options) {
    check_call(options);
    require(!settings_.capabilities.tiers.empty(), "move objects between tiers");
    const std::scoped_lock lock(mutex_);
    Version& version = existing(name);
    if (!cold(version)) return ThawResult::ready;
    ++version.thaws;
    return cold(version) ? ThawResult::pending : ThawResult::ready;
}

PutResult MemoryStore::copy(const std::string& from, const std::string& to, const PutOptions& put_options,
                            const CallOptions& options) {
    check_call(options);
    check_object_name(to);
    require(settings_.capabilities.server_copy, "copy objects");
    const std::scoped_lock lock(mutex_);
    return store(to, existing(from).data, put_options);
}

void MemoryStore::corrupt(const std::string& name, Bytes data) {
    const std::scoped_lock lock(mutex_);
    Version& version = existing(name);
    version.info.size_bytes = data.size();
    version.data = std::make_shared<const Bytes>(std::move(data));
}

} // namespace holdfast
