// One record of PostgreSQL's write-ahead log, taken apart: who wrote it, which blocks it refers to, its data.
//
// The layout is that of PostgreSQL 13 to 18 (src/include/access/xlogrecord.h, xlog_internal.h, rmgrlist.h).
// It is the same in all of them but for the flags of block images, which changed in 15, and the number of the
// top-level transaction, which came in 14. Integers are little-endian, blocks and log pages 8 KiB.
#pragma once

#include "base/bytes.h"
#include "postgres/files/relation_path.h"
#include "postgres/wal/lsn.h"

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace holdfast::postgres {

using TransactionId = std::uint32_t;
using BlockNumber = std::uint32_t;

constexpr std::size_t wal_page_bytes = 8192;
constexpr std::size_t wal_record_header_bytes = 24;
constexpr int oldest_wal_version = 13;
constexpr int newest_wal_version = 18;

// The files of a relation: tablespace, database (0 for those that all databases share), and file number.
struct RelationFile {
    Oid tablespace = 0;
    Oid database = 0;
    Oid number = 0;

    auto operator<=>(const RelationFile&) const = default;
};

struct RelationFileHash {
    std::size_t operator()(const RelationFile& file) const;
};

// Who wrote a record and will replay it (rmgrlist.h). From 128 on: extensions (PostgreSQL 15 and later).
enum class ResourceManager : std::uint8_t {
    xlog = 0,
    transaction = 1,
    storage = 2,
    clog = 3,
    database = 4,
    tablespace = 5,
    multixact = 6,
    relation_map = 7,
    standby = 8,
    heap2 = 9,
    heap = 10,
    btree = 11,
    hash = 12,
    gin = 13,
    gist = 14,
    sequence = 15,
    spgist = 16,
    brin = 17,
    commit_ts = 18,
    replication_origin = 19,
    generic = 20,
    logical_message = 21,
    first_custom = 128,
};

// Whether a server of major version `version` knows the resource manager `id`.
bool is_resource_manager(std::uint8_t id, int version);

enum class ImageCompression : std::uint8_t { none, pglz, lz4, zstd };

// A full image of a block within a record. `bytes` is what is stored: the block without its hole, compressed.
struct BlockImage {
    ByteView bytes;
    std::uint16_t hole_offset = 0;
    std::uint16_t hole_length = 0;
    ImageCompression compression = ImageCompression::none;
    // Replay restores the block from it; else it only serves wal_consistency_checking.
    bool apply = false;
};

// A block that a record changes.
struct BlockReference {
    RelationFile relation;
    BlockNumber block = 0;
    Fork fork = Fork::main;
    std::uint8_t id = 0;    // as the record numbers it; ascending, with gaps
    bool will_init = false; // replay makes the block anew, whatever was in it
    bool has_image = false;
    BlockImage image; // when has_image
    ByteView data;    // what replay needs beside the image
};

// The views point into the buffers of whoever made the record; see there for how long they live.
struct WalRecord {
    Lsn start;    // of its first byte: behind the page header, when it is the first of a page
    Lsn end;      // behind its last byte, rounded up to 8; of a switch, the end of the segment
    Lsn previous; // start of the record before it
    // Of the page it starts on, as its header says; 0 when that was not seen. Where a timeline begins within
    // a page, that page still names the one before.
    TimelineId timeline = 0;
    TransactionId xid = 0; // 0: none
    TransactionId top_level_xid =
        0; // logged with a subtransaction's first record when wal_level is logical (14 on)
    std::uint8_t resource_manager = 0;
    std::uint8_t info = 0;
    std::uint16_t origin = 0; // replication origin; 0: none
    ByteView bytes;           // the whole record, header first, without page headers between
    std::span<const BlockReference> blocks;
    ByteView main_data;

    bool is_of(ResourceManager manager) const {
        return resource_manager == static_cast<std::uint8_t>(manager);
    }
    // What its resource manager says by `info`; the low four bits belong to the log itself.
    std::uint8_t operation() const { return info & 0xf0; }
    // It changes files of relations in ways that no block reference tells.
    bool changes_files_otherwise() const { return (info & 0x01) != 0; }
};

class WalPartHeaders; // reads the headers of a record's parts

// Takes records apart. One parser serves any number of records, one after the other; not for several threads.
class WalRecordParser {
  public:
    // `version`: the server's major version, 13 to 18; another throws Error(usage).
    explicit WalRecordParser(int version);

    int version() const { return version_; }

    // Fills all of `record` but start, end and timeline from `bytes`, a whole record with its header, whose
    // checksum was found right. Returns why it cannot be one of this version, or nothing. The block
    // references live until the next call.
    std::optional<std::string_view> parse(ByteView bytes, WalRecord& record);

  private:
    static constexpr std::uint8_t block_id_max = 32;
    // Of a block's image and its other data, until it is known where they lie.
    struct PartLengths {
        std::size_t image;
        std::size_t data;
    };

    std::string_view parse_block(WalPartHeaders& headers, std::uint8_t id,
                                 std::optional<RelationFile>& relation);

    int version_;
    std::vector<BlockReference> blocks_;
    std::array<PartLengths, block_id_max + 1> lengths_{};
};

} // namespace holdfast::postgres
