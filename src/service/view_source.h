// Bytes that lie in memory or in a mapped file, as a source of an index segment.
#pragma once

#include "base/error.h"
#include "repository/index/byte_source.h"

#include <algorithm>
#include <string>

namespace holdfast {

// What it shows must outlive it.
class ViewSource final : public ByteSource {
  public:
    ViewSource(ByteView bytes, std::string name) : bytes_(bytes), name_(std::move(name)) {}
    std::uint64_t size() const override { return bytes_.size(); }
    void read(std::uint64_t offset, MutableByteView out) const override {
        if (offset > bytes_.size() || out.size() > bytes_.size() - offset) {
            throw Error(ErrorCode::corrupt, name_ + ": it is shorter than it says");
        }
        std::ranges::copy(bytes_.subspan(offset, out.size()), out.begin());
    }

  private:
    ByteView bytes_;
    std::string name_;
};

} // namespace holdfast
