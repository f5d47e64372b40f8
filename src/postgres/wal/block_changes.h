// The change map: what the records of a stretch of the log changed in the files of relations.
//
// It describes main and init forks, and only them. Over the range [from, to) of record starts it knows
// - every block that a record refers to. All changes of main and init forks that are logged are told by block
//   references, in all versions from 13 to 18, but for the events below;
// - truncations: the shortest length that a fork had at any time within the range. Whatever lies at or above
// it
//   was new afterwards, and is not told apart;
// - relations whose files came (a new file, perhaps under a number that was used before) or went, as a
// shortest
//   length of 0;
// - directories of databases (a pair of tablespace and database) that were copied, made, moved or removed. In
// them
//   nothing is told apart;
// - what makes the map worthless, or may (Doubt).
//
// It does not know, and its reader must care for:
// - growth: blocks at or above the length that the fork had before. Extension alone is not logged;
// - free space maps, which are hardly logged, and visibility maps. Heap records clear visibility bits without
// a
//   reference to the map's block: insert, multi-insert, delete, update and HOT update (flag all-visible
//   cleared, of the old and of the new page), lock and lock-updated (flag all-frozen cleared), in all of 13
//   to 18. Both are read whole;
// - hint bits that were set without a log record (no data checksums and wal_log_hints off);
// - main forks of unlogged relations (those with an init fork), which no backup needs;
// - what offline tools do: pg_checksums, pg_resetwal, pg_rewind. Compare system identifier, checksum setting,
// and
//   positions of the log;
// - the log of wal_level=minimal before the first record that tells of it: the range must begin where the
// level is
//   known, as the redo point of a backup is;
// - everything that is no relation: commit log and other SLRUs, relation maps, control file, two-phase state.
#pragma once

#include "base/bytes.h"
#include "postgres/wal/block_set.h"
#include "postgres/wal/wal_event.h"
#include "postgres/wal/wal_record.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <unordered_map>

namespace holdfast::postgres {

// Why a map may not be believed; each with the record at which it was first seen.
enum class Doubt : std::uint8_t {
    minimal_wal,          // wal_level=minimal: changes of new relations are not in the log
    unknown_file_change,  // an extension changed files in a way that is not known
    overwritten_record,   // a crash cut a record off, and the log was continued over it
    full_page_writes_off, // matters for backups taken from a standby, and for nothing else here
};
constexpr std::size_t doubts = 4;

class BlockChanges {
  public:
    static constexpr std::size_t memory_max_default = std::size_t{48} << 20;

    // Covers nothing yet: [from, from). When what it knows needs more than `memory_max` bytes, it becomes
    // coarser.
    explicit BlockChanges(Lsn from, std::size_t memory_max = memory_max_default);
    BlockChanges(BlockChanges&&) = default;
    BlockChanges& operator=(BlockChanges&&) = default;

    // Adds what `record` changed, with what wal_event::event_of said of it. Records come in order; one that
    // starts before to() throws Error(usage). to() becomes its end.
    void add(const WalRecord& record, const wal_event::Event& event);
    // Says that no record starts between to() and `to`.
    void extend_to(Lsn to);

    // Adds the map of what follows this: where next.from() is not where this ends (see same_record_start),
    // throws Error(usage). Covers both afterwards.
    void append(const BlockChanges& next);
    // Adds what another map knows (of an abandoned branch, for example) and leaves the range as it is. May
    // need the memory of both for a moment.
    void unite(const BlockChanges& other);

    Lsn from() const { return from_; }
    Lsn to() const { return to_; }

    // What is known of one fork, main or init (for the others it says: read it whole).
    struct ForkChanges {
        // Blocks below this that `blocks` does not hold are as they were, if they were there before. 0:
        // nothing is known of it.
        std::uint64_t known_below = std::uint64_t{1} << 32;
        const BlockSet* blocks = nullptr; // null: none; lives until the map changes

        bool unchanged(BlockNumber block) const {
            return block < known_below && (blocks == nullptr || !blocks->contains(block));
        }
        // What to read of a fork that had `before` blocks and has `now`: calls `take(first block, number of
        // blocks)` for each range, ascending. `before` is 0 for one that was not there.
        template <typename Take>
        void for_each_to_read(std::uint64_t before, std::uint64_t now, Take&& take) const {
            const std::uint64_t known = std::min({known_below, before, now});
            std::uint64_t rest = known;
            if (blocks != nullptr)
                blocks->for_each_range([&](BlockNumber first, std::uint64_t count) {
                    if (first >= known) return;
                    // A range that reaches what is read anyway becomes part of it.
                    if (first + count < known)
                        take(std::uint64_t{first}, count);
                    else
                        rest = first;
                });
            if (rest < now) take(rest, now - rest);
        }
    };
    ForkChanges of_fork(const RelationFile& relation, Fork fork) const;

    struct RelationEvents {
        bool created = false; // a file was made under this number
        bool dropped = false; // the relation was dropped, or its creation rolled back
    };
    RelationEvents of_relation(const RelationFile& relation) const;

    // A directory of a database: one tablespace, one database.
    struct DirectoryEvents {
        bool copied = false;  // from another directory, by copying files
        bool created = false; // empty, with everything logged that came into it
        bool dropped = false;
        bool relation_map_updated = false;
        bool too_much = false; // given up for lack of memory

        bool whole() const { return copied || created || dropped || too_much; }
        bool operator==(const DirectoryEvents&) const = default;
    };
    DirectoryEvents of_directory(Oid tablespace, Oid database) const;

    struct TablespaceEvents {
        bool created = false;
        bool dropped = false;

        bool operator==(const TablespaceEvents&) const = default;
    };
    TablespaceEvents of_tablespace(Oid tablespace) const;
    // Whether any tablespace was made, and any directory filled by copying.
    bool makes_tablespaces() const;
    bool copies_directories() const;

    // The start of the first record that gave reason for `doubt`; 0 if none did.
    Lsn doubt(Doubt doubt) const { return doubts_[static_cast<std::size_t>(doubt)]; }
    // Whether pages must be compared instead: any doubt but full_page_writes_off.
    bool usable() const;

    // Number of forks, and of blocks in them, that are told apart: for messages.
    std::size_t forks() const { return forks_.size(); }
    std::uint64_t blocks() const;
    std::size_t memory_bytes() const { return memory_; }
    // After this, and after decode(), several threads may ask at once, until the next change.
    void settle() const;

    // Equal maps have equal bytes: version 1; from, to (varints; to as a difference); 4 doubts (varints: 0,
    // or position less from, plus 1); tablespaces with events, ascending; directories, ascending by
    // tablespace and database, each with its events and its forks, ascending by file number and fork, each
    // with its events, its shortest length and its blocks.
    Bytes encode() const;
    // Throws Error(corrupt) for anything that encode() would not have written.
    static BlockChanges decode(ByteView bytes, std::size_t memory_max = memory_max_default);

  private:
    struct ForkKey {
        RelationFile relation;
        Fork fork = Fork::main;

        auto operator<=>(const ForkKey&) const = default;
    };
    struct ForkKeyHash {
        std::size_t operator()(const ForkKey& key) const {
            return RelationFileHash{}(key.relation) + static_cast<std::size_t>(key.fork);
        }
    };
    struct ForkEntry {
        std::uint64_t shortest = std::uint64_t{1} << 32; // 2^32: it was not truncated
        bool created = false;
        bool dropped = false;
        BlockSet blocks; // below shortest
    };
    using Directory = std::pair<Oid, Oid>; // tablespace, database

    void touch(const RelationFile& relation, Fork fork, BlockNumber block);
    void apply(const wal_event::Event& event, Lsn at);
    void raise(Doubt doubt, Lsn at);
    ForkEntry* entry_of(const RelationFile& relation, Fork fork);
    void shorten(ForkEntry& entry, std::uint64_t length);
    void make_whole(Directory directory, bool DirectoryEvents::* why);
    void forget(Directory directory);
    void changed_memory(std::size_t before, std::size_t after);
    void shrink();
    Directory most_forks() const;
    static BlockChanges decode_header(ByteReader& in, std::size_t memory_max);
    void decode_directory(ByteReader& in, Directory directory);
    void encode_directories(ByteWriter& out) const;

    Lsn from_;
    Lsn to_;
    std::size_t memory_max_;
    std::size_t memory_ = 0;
    std::array<Lsn, doubts> doubts_{};
    std::map<Oid, TablespaceEvents> tablespaces_;
    std::map<Directory, DirectoryEvents> directories_;
    std::unordered_map<ForkKey, ForkEntry, ForkKeyHash> forks_;
    // The fork that was touched last; records come in runs of the same. Null: none, or in a whole directory.
    ForkKey last_key_;
    ForkEntry* last_entry_ = nullptr;
};

} // namespace holdfast::postgres
