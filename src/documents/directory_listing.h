// The names in a directory, in bytewise order, in bounded memory.
#pragma once

#include "documents/result.h"
#include "documents/spill_file.h"

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace holdfast {

// Names are sorted in memory while they fit into the budget. Beyond it, sorted runs go to a spill file and
// are merged while the caller reads. Not thread-safe.
class DirectoryListing {
  public:
    // Reads the directory behind `fd` from its start ("." and ".." left out). Uses about `budget_bytes`, at
    // least 64 KiB, and 4 KiB for each spilled run. `spill` must outlive the listing, and listings that share
    // one must end in the opposite order of their beginning. A failure to read the directory ends the list
    // early and is kept in error(); a failure of the spill file is thrown.
    DirectoryListing(int fd, std::size_t budget_bytes, SpillFile& spill);
    ~DirectoryListing();
    DirectoryListing(DirectoryListing&& other) noexcept;
    DirectoryListing& operator=(DirectoryListing&&) = delete;

    // The next name, without repetition; nothing at the end. The view is valid until the next call.
    std::optional<std::string_view> next();
    // What the directory says the type of the last name is, as d_type of readdir(3): a hint only.
    unsigned char type_hint() const { return type_hint_; }
    const std::optional<Error>& error() const { return error_; }
    std::size_t memory_bytes() const;
    bool spilled() const { return !runs_.empty(); }

  private:
    // A sorted run in the spill file: records of a u16 length, a type byte, and the name.
    struct Run {
        std::uint64_t offset;
        std::uint64_t end;
        std::vector<Byte> buffer;
        std::size_t position = 0;
        std::string_view name{};
        unsigned char type = 0;
    };
    void read_directory(int fd);
    void add(const char* name, std::size_t length, unsigned char type);
    void sort();
    void spill_run();
    bool advance(Run& run);
    void start_merge();
    std::optional<std::string_view> next_in_memory();
    std::optional<std::string_view> next_merged();

    std::size_t budget_bytes_;
    SpillFile* spill_;
    std::uint64_t spill_start_;
    std::vector<char> arena_; // per name: its type byte, its bytes, NUL
    std::vector<std::uint32_t> offsets_;
    std::size_t position_ = 0;
    std::vector<Run> runs_;
    std::vector<std::size_t> heap_; // of runs, the smallest name on top
    std::vector<char> last_;        // the name that next_merged() gave out
    bool any_given_ = false;
    unsigned char type_hint_ = 0;
    std::optional<Error> error_;
};

} // namespace holdfast
