// Identifiers, and the names of objects in a store (docs/format.md, sections 1 and 5).
//
// Names are parsed strictly: what parse_name accepts is exactly what object_name writes, so that two names
// never mean one object. Everything here is pure and thread-safe.
#pragma once

#include "base/bytes.h"

#include <optional>
#include <string>
#include <string_view>

namespace holdfast {

using RunId = FixedBytes<16>;  // one execution of a program that writes
using SlotId = FixedBytes<16>; // one holder of keys
using RepositoryId = FixedBytes<16>;
using NodeId = FixedBytes<24>;    // hash of a node's bytes
using BlobId = FixedBytes<24>;    // keyed hash of a blob's bytes
using DomainId = FixedBytes<8>;   // machines that deduplicate against each other
using PackBytes = FixedBytes<24>; // a PackId as it stands in formats
using ArchiveId = FixedBytes<16>; // the log archive of one source: the id of its domain, then its own

// The kinds of packs, as in names and in pack ids.
constexpr std::uint8_t data_pack = 'd';
constexpr std::uint8_t metadata_pack = 'm';
constexpr std::uint8_t log_pack = 'l';
constexpr bool is_pack_kind(std::uint8_t kind) {
    return kind == data_pack || kind == metadata_pack || kind == log_pack;
}

// The id of a domain, from its name. Names of domains are no secret: they stand in key slots.
DomainId domain_id(std::string_view domain_name);
// The domain that an archive belongs to, whose writers alone write to it.
DomainId domain_of(const ArchiveId& archive);

struct PackId {
    RunId run;
    std::uint32_t seq = 0;
    std::uint8_t kind = data_pack;
    std::uint8_t cls = 0; // the retention class

    auto operator<=>(const PackId&) const = default;

    // run id16 | seq u32 | kind u8 | class u8 | 0 u16.
    PackBytes to_bytes() const;
    // Nothing when the kind is unknown or the last bytes are not zero.
    static std::optional<PackId> from_bytes(const PackBytes& bytes);
    // "packs/d00/<run>-<seq>".
    std::string name() const;
    static std::optional<PackId> from_name(std::string_view name);
};

struct PackIdHash {
    std::size_t operator()(const PackId& id) const {
        return id.run.prefix() ^ (id.seq * 0x9e3779b97f4a7c15U);
    }
};

// A stretch of a source's log: positions that only grow, [begin, end), on one of its branches. What they are
// is the source's affair (PostgreSQL: a timeline, and positions in its write-ahead log). Ranges of no length
// are for what is said of a branch as a whole.
struct LogRange {
    std::uint32_t branch = 0;
    std::uint64_t begin = 0;
    std::uint64_t end = 0;

    auto operator<=>(const LogRange&) const = default;
};

// The longest stretch that one object has. A name that says more is none.
constexpr std::uint64_t largest_slice_bytes = std::uint64_t{64} << 20;

// One object of a log archive (docs/format.md, section 11).
struct LogSliceId {
    ArchiveId archive;
    LogRange range;
    RunId run;
    std::uint32_t number = 0;

    // By range before all else within an archive, as names are.
    auto operator<=>(const LogSliceId&) const = default;
    // "logs/<archive>/<branch>-<begin>-<end>-<run>-<number>".
    std::string name() const;
    static std::optional<LogSliceId> from_name(std::string_view name);
};

// What a name says that an object is.
enum class NameKind {
    config,
    slot,
    grant,
    revocation,
    pack,
    index_segment,
    intent,
    commit, // or a fence: both have the same name, and the first to be put decides
    checkpoint,
    forget,
    statement,
    condemned,
    verdict,
    moved,
    log_slice,
    probe, // left over from finding out what the store can do; means nothing
};

// A name taken apart. Which members mean something depends on the kind; the others are zero.
struct ObjectName {
    NameKind kind = NameKind::config;
    FixedBytes<16> owner;        // the run; the slot for slot, grant, revocation and statement
    std::uint32_t number = 0;    // sequence, beat or number
    DomainId domain;             // index_segment
    std::uint8_t pack_kind = 0;  // pack, moved
    std::uint8_t pack_class = 0; // pack, moved
    ArchiveId archive{};         // log_slice
    LogRange range{};            // log_slice

    auto operator<=>(const ObjectName&) const = default;
    // Of a pack or moved name.
    PackId pack() const { return {owner, number, pack_kind, pack_class}; }
};

// Nothing when it is no name of this format. Of a probe only the kind is told.
std::optional<ObjectName> parse_name(std::string_view name);
// What parse_name reads. Not for probes.
std::string object_name(const ObjectName& name);

// The names, and prefixes for listing.
constexpr std::string_view config_name = "config";
constexpr std::string_view slots_prefix = "keys/";
constexpr std::string_view grants_prefix = "grants/";
constexpr std::string_view revocations_prefix = "revocations/";
constexpr std::string_view packs_prefix = "packs/";
constexpr std::string_view index_prefix = "index/";
constexpr std::string_view intents_prefix = "intents/";
constexpr std::string_view commits_prefix = "commits/";
constexpr std::string_view checkpoints_prefix = "checkpoints/";
constexpr std::string_view forgets_prefix = "forgets/";
constexpr std::string_view statements_prefix = "statements/";
constexpr std::string_view condemned_prefix = "condemned/";
constexpr std::string_view verdicts_prefix = "verdicts/";
constexpr std::string_view moved_prefix = "moved/";
constexpr std::string_view logs_prefix = "logs/";
constexpr std::string_view probe_prefix = "probe/";

std::string slot_name(const SlotId& slot);
std::string grant_name(const SlotId& slot, std::uint32_t number);
std::string revocation_name(const SlotId& slot);
std::string index_segment_name(const DomainId& domain, const RunId& run, std::uint32_t seq);
std::string intent_name(const RunId& run, std::uint32_t beat);
std::string commit_name(const RunId& run);
std::string checkpoint_name(const RunId& run, std::uint32_t number);
std::string forget_name(const RunId& run);
std::string statement_name(const SlotId& slot, std::uint32_t number);
std::string condemned_name(const RunId& run);
std::string verdict_name(const RunId& run);
std::string moved_name(const PackId& pack);

// An identifier from exactly 2 N lower-case hexadecimal digits; nothing otherwise.
template <std::size_t N>
std::optional<FixedBytes<N>> id_from_hex(std::string_view text) {
    FixedBytes<N> id;
    if (text.size() != 2 * N) return std::nullopt;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char digit = text[i];
        const int value = digit >= '0' && digit <= '9'   ? digit - '0'
                          : digit >= 'a' && digit <= 'f' ? digit - 'a' + 10
                                                         : -1;
        if (value < 0) return std::nullopt;
        id.bytes[i / 2] = static_cast<Byte>(id.bytes[i / 2] * 16 + value);
    }
    return id;
}

} // namespace holdfast
