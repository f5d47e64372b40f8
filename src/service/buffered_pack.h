// One pack in memory, as a store: so that what has been read once is judged by the same code as what is read
// in parts.
#pragma once

#include "base/error.h"
#include "store/store.h"

#include <algorithm>

namespace holdfast {

// Holds one object and nothing else; nothing can be put. Not thread-safe.
class BufferedPack final : public Store {
  public:
    void hold(std::string name, Bytes bytes) {
        name_ = std::move(name);
        bytes_ = std::move(bytes);
    }
    ByteView bytes() const { return bytes_; }

    std::string url() const override { return "memory"; }
    StoreCapabilities capabilities() const override { return {}; }
    PutResult put(const std::string& name, std::span<const ByteView>, const PutOptions&,
                  const CallOptions&) override {
        throw Error(ErrorCode::unsupported, name + ": a buffer takes no objects");
    }
    std::optional<Bytes> get(const std::string& name, ByteRange range, const CallOptions&) override {
        if (name != name_) return std::nullopt;
        const std::size_t begin = std::min<std::uint64_t>(range.offset, bytes_.size());
        const std::size_t length = std::min<std::uint64_t>(range.length, bytes_.size() - begin);
        const ByteView part = ByteView(bytes_).subspan(begin, length);
        return Bytes(part.begin(), part.end());
    }
    std::optional<ObjectInfo> head(const std::string& name, const CallOptions&) override {
        if (name != name_) return std::nullopt;
        ObjectInfo info;
        info.name = name_;
        info.size_bytes = bytes_.size();
        return info;
    }
    void list(const std::string&, const std::string&, const std::function<bool(const ObjectInfo&)>&,
              const CallOptions&) override {}
    void remove(const std::string& name, const CallOptions&) override {
        throw Error(ErrorCode::unsupported, name + ": a buffer removes no objects");
    }

  private:
    std::string name_;
    Bytes bytes_;
};

} // namespace holdfast
