// The smallest store there is: a map in memory that tests can look into and change behind everybody's back.
#pragma once

#include "base/error.h"
#include "store/store.h"

#include <functional>
#include <map>
#include <mutex>
#include <string>

namespace holdfast {

class MapStore final : public Store {
  public:
    std::map<std::string, Bytes> objects;
    // When each object was put, by a clock that moves a second with every put.
    std::map<std::string, Timestamp> modified;
    bool has_put_if_absent = true;
    // Called before each write with its verb and name; what it throws, the call throws.
    std::function<void(std::string_view, const std::string&)> before_write;

    using Store::put;
    std::string url() const override { return "memory:"; }
    StoreCapabilities capabilities() const override {
        StoreCapabilities capabilities;
        capabilities.put_if_absent = has_put_if_absent;
        capabilities.consistent = true;
        return capabilities;
    }
    PutResult put(const std::string& name, std::span<const ByteView> parts, const PutOptions& put_options,
                  const CallOptions&) override {
        if (before_write) before_write("put", name);
        const std::scoped_lock lock(mutex_);
        if (put_options.only_if_absent && !has_put_if_absent) {
            throw Error(ErrorCode::unsupported, "this store has no put-if-absent");
        }
        if (put_options.only_if_absent && objects.contains(name)) return PutResult::already_there;
        Bytes bytes;
        for (const ByteView part : parts) bytes.insert(bytes.end(), part.begin(), part.end());
        objects[name] = std::move(bytes);
        now_ += std::chrono::seconds(1);
        modified[name] = now_;
        return PutResult::stored;
    }
    std::optional<Bytes> get(const std::string& name, ByteRange range, const CallOptions&) override {
        const std::scoped_lock lock(mutex_);
        const auto found = objects.find(name);
        if (found == objects.end()) return std::nullopt;
        const std::uint64_t begin = std::min<std::uint64_t>(range.offset, found->second.size());
        const std::uint64_t size = std::min<std::uint64_t>(range.length, found->second.size() - begin);
        const auto first = found->second.begin() + static_cast<std::ptrdiff_t>(begin);
        return Bytes(first, first + static_cast<std::ptrdiff_t>(size));
    }
    std::optional<ObjectInfo> head(const std::string& name, const CallOptions&) override {
        const std::scoped_lock lock(mutex_);
        const auto found = objects.find(name);
        if (found == objects.end()) return std::nullopt;
        return info(*found);
    }
    void list(const std::string& prefix, const std::string& after,
              const std::function<bool(const ObjectInfo&)>& visit, const CallOptions&) override {
        std::vector<ObjectInfo> found;
        {
            const std::scoped_lock lock(mutex_);
            for (const auto& object : objects) {
                if (object.first.starts_with(prefix) && object.first > after) found.push_back(info(object));
            }
        }
        for (const ObjectInfo& object : found) {
            if (!visit(object)) return;
        }
    }
    void remove(const std::string& name, const CallOptions&) override {
        if (before_write) before_write("remove", name);
        const std::scoped_lock lock(mutex_);
        objects.erase(name);
    }

  private:
    ObjectInfo info(const std::pair<const std::string, Bytes>& object) const {
        ObjectInfo result;
        result.name = object.first;
        if (const auto found = modified.find(object.first); found != modified.end())
            result.modified = found->second;
        result.size_bytes = object.second.size();
        result.token = std::to_string(result.modified.time_since_epoch().count());
        return result;
    }
    std::mutex mutex_;
    Timestamp now_{};
};

} // namespace holdfast
