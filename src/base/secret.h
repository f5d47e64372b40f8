// Memory for keys: locked where the system lets us, left out of core dumps, guarded, and wiped when it goes.
#pragma once

#include "base/bytes.h"

#include <memory>
#include <utility>

namespace holdfast {

// Owns secret bytes in memory from sodium_malloc. Movable; copied only by name, so that each copy is
// deliberate. Reading is free; the bytes are never printed, and there is no conversion to text.
class Secret {
  public:
    Secret() = default;
    // What was moved from is empty.
    Secret(Secret&& other) noexcept : data_(std::move(other.data_)), size_(std::exchange(other.size_, 0)) {}
    Secret& operator=(Secret&& other) noexcept {
        data_ = std::move(other.data_);
        size_ = std::exchange(other.size_, 0);
        return *this;
    }
    // `size` zero bytes. Throws Error(internal) when no memory can be had.
    explicit Secret(std::size_t size);
    // A copy of `bytes`; the caller still has to wipe its own.
    static Secret copy_of(ByteView bytes);
    Secret copy() const { return copy_of(view()); }

    ByteView view() const { return {data_.get(), size_}; }
    MutableByteView mutable_view() { return {data_.get(), size_}; }
    std::size_t size() const { return size_; }
    bool empty() const { return size_ == 0; }

  private:
    struct Free {
        void operator()(Byte* data) const;
    };
    std::unique_ptr<Byte[], Free> data_;
    std::size_t size_ = 0;
};

// Overwrites `bytes` in a way the compiler does not remove.
void wipe(MutableByteView bytes);

} // namespace holdfast
