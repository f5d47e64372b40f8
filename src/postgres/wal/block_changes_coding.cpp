// The bytes of a change map.
#include "postgres/wal/block_changes.h"

#include <algorithm>
#include <vector>

namespace holdfast::postgres {

namespace {

constexpr std::uint8_t encoding_version = 1;
constexpr std::uint64_t oid_max = 0xffffffff;
constexpr std::uint64_t never_shortened = std::uint64_t{1} << 32;

constexpr std::uint8_t tablespace_created = 1;
constexpr std::uint8_t tablespace_dropped = 2;
constexpr std::uint8_t tablespace_all = 3;

constexpr std::uint8_t directory_copied = 1;
constexpr std::uint8_t directory_created = 2;
constexpr std::uint8_t directory_dropped = 4;
constexpr std::uint8_t directory_relation_map = 8;
constexpr std::uint8_t directory_too_much = 16;
constexpr std::uint8_t directory_all = 31;

constexpr std::uint8_t fork_created = 1;
constexpr std::uint8_t fork_dropped = 2;
constexpr std::uint8_t fork_shortened = 4;
constexpr std::uint8_t fork_all = 7;

std::uint8_t bits_of(const BlockChanges::DirectoryEvents& events) {
    return static_cast<std::uint8_t>((events.copied ? directory_copied : 0) |
                                     (events.created ? directory_created : 0) |
                                     (events.dropped ? directory_dropped : 0) |
                                     (events.relation_map_updated ? directory_relation_map : 0) |
                                     (events.too_much ? directory_too_much : 0));
}

std::uint8_t flags_at_most(ByteReader& in, std::uint8_t all) {
    const std::uint8_t flags = in.u8();
    if ((flags & ~all) != 0) in.fail("flags that mean nothing");
    return flags;
}

// Numbers that rise: the first as it is, each further one as what it is beyond the one before, less 1.
class RisingWriter {
  public:
    void write(ByteWriter& out, std::uint64_t value) {
        out.varint(value - next_);
        next_ = value + 1;
    }

  private:
    std::uint64_t next_ = 0;
};

class RisingReader {
  public:
    std::uint64_t read(ByteReader& in, std::uint64_t limit) {
        if (next_ > limit) in.fail("numbers that do not rise");
        const std::uint64_t value = next_ + in.varint_at_most(limit - next_);
        next_ = value + 1;
        return value;
    }

  private:
    std::uint64_t next_ = 0;
};

// A file number and a fork of it as one number, so that forks are in order too.
std::uint64_t fork_number(Oid number, Fork fork) {
    return std::uint64_t{number} * 2 + (fork == Fork::init ? 1 : 0);
}

} // namespace

Bytes BlockChanges::encode() const {
    ByteWriter out;
    out.u8(encoding_version);
    out.varint(from_.value);
    out.varint(to_ - from_);
    for (const Lsn at : doubts_) {
        out.u8(at ? 1 : 0);
        if (at) out.u64(at.value);
    }
    out.varint(tablespaces_.size());
    RisingWriter tablespaces;
    for (const auto& [tablespace, events] : tablespaces_) {
        tablespaces.write(out, tablespace);
        out.u8(static_cast<std::uint8_t>((events.created ? tablespace_created : 0) |
                                         (events.dropped ? tablespace_dropped : 0)));
    }
    encode_directories(out);
    return std::move(out).take();
}

void BlockChanges::encode_directories(ByteWriter& out) const {
    std::map<Directory, std::vector<std::pair<std::uint64_t, const ForkEntry*>>> directories;
    for (const auto& [directory, events] : directories_) directories[directory];
    for (const auto& [key, entry] : forks_)
        directories[{key.relation.tablespace, key.relation.database}].emplace_back(
            fork_number(key.relation.number, key.fork), &entry);
    out.varint(directories.size());
    for (auto& [directory, forks] : directories) {
        out.u32(directory.first);
        out.u32(directory.second);
        out.u8(bits_of(of_directory(directory.first, directory.second)));
        std::ranges::sort(forks, {}, [](const auto& item) { return item.first; });
        out.varint(forks.size());
        RisingWriter numbers;
        for (const auto& [number, entry] : forks) {
            const bool shortened = entry->shortest != never_shortened;
            numbers.write(out, number);
            out.u8(static_cast<std::uint8_t>((entry->created ? fork_created : 0) |
                                             (entry->dropped ? fork_dropped : 0) |
                                             (shortened ? fork_shortened : 0)));
            if (shortened) out.varint(entry->shortest);
            if (entry->shortest != 0) entry->blocks.encode(out);
        }
    }
}

BlockChanges BlockChanges::decode_header(ByteReader& in, std::size_t memory_max) {
    if (in.u8() != encoding_version) in.fail("of an unknown version");
    BlockChanges changes(Lsn{in.varint()}, memory_max);
    changes.to_ = changes.from_ + in.varint_at_most(~std::uint64_t{0} - changes.from_.value);
    for (Lsn& at : changes.doubts_)
        if (flags_at_most(in, 1) != 0) {
            at = Lsn{in.u64()};
            if (!at) in.fail("a doubt without a place");
        }
    RisingReader tablespaces;
    for (std::uint64_t left = in.varint_at_most(in.remaining()); left != 0; --left) {
        const auto tablespace = static_cast<Oid>(tablespaces.read(in, oid_max));
        const std::uint8_t flags = flags_at_most(in, tablespace_all);
        if (flags == 0) in.fail("a tablespace of which nothing is said");
        changes.tablespaces_[tablespace] = {(flags & tablespace_created) != 0,
                                            (flags & tablespace_dropped) != 0};
    }
    return changes;
}

void BlockChanges::decode_directory(ByteReader& in, Directory directory) {
    const std::uint8_t flags = flags_at_most(in, directory_all);
    const DirectoryEvents events{(flags & directory_copied) != 0, (flags & directory_created) != 0,
                                 (flags & directory_dropped) != 0, (flags & directory_relation_map) != 0,
                                 (flags & directory_too_much) != 0};
    const std::uint64_t count = in.varint_at_most(in.remaining());
    if (flags == 0 && count == 0) in.fail("a directory of which nothing is said");
    if (events.whole() && count != 0) in.fail("relations in a directory that is read whole");
    if (flags != 0) directories_[directory] = events;
    RisingReader numbers;
    for (std::uint64_t left = count; left != 0; --left) {
        const std::uint64_t number = numbers.read(in, oid_max * 2 + 1);
        const std::uint8_t fork_flags = flags_at_most(in, fork_all);
        ForkEntry entry;
        entry.created = (fork_flags & fork_created) != 0;
        entry.dropped = (fork_flags & fork_dropped) != 0;
        if ((fork_flags & fork_shortened) != 0) entry.shortest = in.varint_at_most(never_shortened - 1);
        if ((entry.created || entry.dropped) && entry.shortest != 0)
            in.fail("a new file that has old blocks");
        if (entry.dropped && number % 2 != 0) in.fail("an init fork that is dropped alone");
        if (entry.shortest != 0) {
            entry.blocks = BlockSet::decode(in);
            if (entry.blocks.empty() && entry.shortest == never_shortened)
                in.fail("a fork of which nothing is said");
            BlockSet kept = entry.blocks;
            if (entry.shortest != never_shortened) kept.cut(static_cast<BlockNumber>(entry.shortest));
            if (kept != entry.blocks) in.fail("blocks above the length of their fork");
        }
        // Where memory is short, a directory may have been given up meanwhile.
        ForkEntry* const place = entry_of({directory.first, directory.second, static_cast<Oid>(number / 2)},
                                          number % 2 != 0 ? Fork::init : Fork::main);
        if (place == nullptr) continue;
        changed_memory(0, entry.blocks.memory_bytes());
        *place = std::move(entry);
        if (memory_ > memory_max_) shrink();
    }
}

BlockChanges BlockChanges::decode(ByteView bytes, std::size_t memory_max) {
    ByteReader in(bytes, "change map");
    BlockChanges changes = decode_header(in, memory_max);
    std::optional<Directory> last;
    for (std::uint64_t left = in.varint_at_most(in.remaining()); left != 0; --left) {
        const Oid tablespace = in.u32();
        const Directory directory{tablespace, in.u32()};
        if (last && directory <= *last) in.fail("directories that do not rise");
        last = directory;
        changes.decode_directory(in, directory);
    }
    in.expect_end();
    return changes;
}

} // namespace holdfast::postgres
