// The leaf of a directory: its members, or a stretch of them (docs/format.md, section 7, kind 'D').
#pragma once

#include "base/bytes.h"
#include "repository/node/entry.h"
#include "repository/node/pack_table.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace holdfast {

// Limits of one entry. An entry above them cannot be recorded.
inline constexpr std::size_t max_name_bytes = 4096;
inline constexpr std::size_t max_entry_bytes = std::size_t{512} << 10;
// The part of a file that one segment group describes.
inline constexpr std::uint64_t segment_group_bytes = std::uint64_t{64} << 30;

// Whether a directory can have a member of this name: 1 to 4,096 bytes, no '/' or NUL, not "." or "..".
bool is_entry_name(std::string_view name);

// An upper bound of the bytes that `entry` takes in a leaf, tables included. Above max_entry_bytes, a leaf
// refuses it: the caller leaves out attributes and says so.
std::size_t entry_size_bound(const TreeEntry& entry);

// Whether a directory node ends behind the child or entry of this name, when it has `size` bytes by then.
class NodeCut {
  public:
    static constexpr std::size_t least_bytes = std::size_t{32} << 10;
    static constexpr std::size_t easier_from_bytes = std::size_t{128} << 10;
    static constexpr std::size_t most_bytes = std::size_t{256} << 10;
    static bool ends_behind(std::string_view name, std::size_t size);
};

// Encodes one leaf after the other. Not thread-safe. Memory: the leaf being built.
class DirectoryLeafBuilder {
  public:
    // Adds an entry to the leaf. Names must be strictly ascending bytewise, over all leaves of this builder.
    // Throws Error(internal) when they are not or the entry breaks a rule of the format, Error(unsupported)
    // when it is too large; the builder is then of no further use.
    void add(const TreeEntry& entry);
    // The bytes that finish() would return now.
    std::size_t encoded_size() const;
    bool empty() const { return count_ == 0; }
    // The leaf; the builder is empty afterwards.
    Bytes finish();

  private:
    struct TextHash {
        using is_transparent = void;
        std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
    };
    std::uint32_t owner_index(const std::string& name);
    void add_content(const TreeEntry& entry);

    PackTableWriter packs_;
    ByteWriter owners_;
    std::unordered_map<std::string, std::uint32_t, TextHash, std::equal_to<>> owner_index_;
    ByteWriter entries_;
    std::size_t count_ = 0;
    std::string last_name_;
};

// Streams the entries of a leaf. Not thread-safe.
class DirectoryLeafReader {
  public:
    // `node` must outlive the reader. Throws Error(corrupt) when it is not a leaf or its tables are
    // malformed.
    explicit DirectoryLeafReader(ByteView node);

    std::size_t count() const { return count_; }
    // Replaces `entry` by the next one and returns true, or returns false behind the last. Reusing one entry
    // reuses its memory. Throws Error(corrupt) for every entry that DirectoryLeafBuilder would not have
    // written; what is behind the last entry is checked when false is returned.
    bool next(TreeEntry& entry);

  private:
    void read_name(TreeEntry& entry);
    void read_owner(std::string& name);
    void read_attributes(TreeEntry& entry, bool present);
    void read_kind_fields(TreeEntry& entry);
    void read_content(TreeEntry& entry);

    ByteReader in_;
    PackTableReader packs_;
    std::vector<std::string_view> owners_;
    std::size_t used_owners_ = 0;
    std::size_t count_ = 0;
    std::size_t read_ = 0;
    std::string_view last_name_;
};

} // namespace holdfast
