// Content that is in memory already.
#pragma once

#include "repository/content/content_source.h"

#include <algorithm>

namespace holdfast::postgres {

// `bytes` must outlive it.
class MemorySource final : public ContentSource {
  public:
    explicit MemorySource(ByteView bytes) : bytes_(bytes) {}
    std::uint64_t size_bytes() const override { return bytes_.size(); }
    std::optional<SourceExtent> next_extent() override {
        if (given_ || bytes_.empty()) return std::nullopt;
        given_ = true;
        return SourceExtent{0, bytes_.size(), false};
    }
    std::size_t read(std::uint64_t offset, MutableByteView out) override {
        if (offset >= bytes_.size()) return 0;
        const ByteView rest = bytes_.subspan(offset);
        const std::size_t length = std::min(out.size(), rest.size());
        std::copy_n(rest.begin(), length, out.begin());
        return length;
    }

  private:
    ByteView bytes_;
    bool given_ = false;
};

} // namespace holdfast::postgres
