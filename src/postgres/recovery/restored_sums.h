// CRC-32Cs of the files of a data directory that a restore has just written.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace holdfast::postgres {

// Paths are relative to the data directory, those in tablespaces through pg_tblspc. Thread-safe. Some 40
// bytes of memory for each file, however long its path.
class RestoredSums {
  public:
    void add(std::string_view path, std::uint64_t size_bytes, std::uint32_t crc32c);
    // It was written again.
    void forget(std::string_view path);
    // Nothing when the file is not known, or not with that size.
    std::optional<std::uint32_t> find(std::string_view path, std::uint64_t size_bytes) const;

  private:
    struct Sum {
        std::uint32_t size; // its lower half: which names a file well enough beside its path
        std::uint32_t crc32c;
    };

    mutable std::mutex mutex_;
    std::unordered_map<std::uint64_t, Sum> sums_; // by a hash of the path
};

} // namespace holdfast::postgres
