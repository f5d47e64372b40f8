#include "postgres/recovery/restored_sums.h"

#include "crypto/hash.h"

namespace holdfast::postgres {

namespace {

std::uint64_t number_of(std::string_view path) {
    return derive_hash<8>("holdfast restored path 1", as_bytes(path)).prefix();
}

} // namespace

void RestoredSums::add(std::string_view path, std::uint64_t size_bytes, std::uint32_t crc32c) {
    const std::uint64_t number = number_of(path);
    const std::scoped_lock lock(mutex_);
    sums_.insert_or_assign(number, Sum{static_cast<std::uint32_t>(size_bytes), crc32c});
}

void RestoredSums::forget(std::string_view path) {
    const std::uint64_t number = number_of(path);
    const std::scoped_lock lock(mutex_);
    sums_.erase(number);
}

std::optional<std::uint32_t> RestoredSums::find(std::string_view path, std::uint64_t size_bytes) const {
    const std::uint64_t number = number_of(path);
    const std::scoped_lock lock(mutex_);
    const auto found = sums_.find(number);
    if (found == sums_.end() || found->second.size != static_cast<std::uint32_t>(size_bytes))
        return std::nullopt;
    return found->second.crc32c;
}

} // namespace holdfast::postgres
