#include "postgres/files/control_file.h"

#include "base/crc32c.h"
#include "base/error.h"
#include "base/little_endian.h"
#include "postgres/files/page.h"

#include <array>
#include <limits>

#include <fmt/format.h>

namespace holdfast::postgres {

namespace {

// Offsets of the fields; see the header of this file.
namespace at {
constexpr std::size_t system_identifier = 0;
constexpr std::size_t control_version = 8;
constexpr std::size_t catalog_version = 12;
constexpr std::size_t state = 16;
constexpr std::size_t written = 24;
constexpr std::size_t checkpoint = 32;
constexpr std::size_t redo = 40;
constexpr std::size_t timeline = 48;
constexpr std::size_t previous_timeline = 52;
constexpr std::size_t full_page_writes = 56;
constexpr std::size_t next_xid = 64;
constexpr std::size_t next_oid = 72;
constexpr std::size_t next_multixact = 76;
constexpr std::size_t next_multixact_offset = 80;
constexpr std::size_t oldest_xid = 84;
constexpr std::size_t oldest_xid_database = 88;
constexpr std::size_t oldest_multixact = 92;
constexpr std::size_t oldest_multixact_database = 96;
constexpr std::size_t checkpoint_time = 104;
constexpr std::size_t oldest_active_xid = 120;
constexpr std::size_t min_recovery_point = 136;
constexpr std::size_t min_recovery_timeline = 144;
constexpr std::size_t backup_start = 152;
constexpr std::size_t backup_end = 160;
constexpr std::size_t backup_end_required = 168;
constexpr std::size_t wal_level = 172;
constexpr std::size_t wal_log_hints = 176;
constexpr std::size_t max_connections = 180;
constexpr std::size_t max_worker_processes = 184;
constexpr std::size_t max_wal_senders = 188;
constexpr std::size_t max_prepared = 192;
constexpr std::size_t max_locks = 196;
constexpr std::size_t track_commit_timestamp = 200;
constexpr std::size_t max_align = 204;
constexpr std::size_t float_format = 208;
constexpr std::size_t block_bytes = 216;
constexpr std::size_t segment_blocks = 220;
constexpr std::size_t wal_block_bytes = 224;
constexpr std::size_t wal_segment_bytes = 228;
constexpr std::size_t data_checksum_version = 252;
} // namespace at

constexpr double float_format_value =
    1234567.0; // every server writes this number, to compare representations

struct Layout {
    std::uint32_t version;
    std::size_t crc;
};
constexpr Layout layouts[] = {{1300, 288}, {1700, 288}, {1800, 292}};

struct Release {
    std::uint32_t catalog_version;
    int major;
};
constexpr Release releases[] = {{202007201, 13}, {202107181, 14}, {202209061, 15},
                                {202307071, 16}, {202406281, 17}, {202506291, 18}};

class Fields {
  public:
    explicit Fields(ByteView bytes) : bytes_(bytes) {}

    std::uint32_t u32(std::size_t offset) const { return get<std::uint32_t>(offset); }
    std::uint64_t u64(std::size_t offset) const { return get<std::uint64_t>(offset); }
    double number(std::size_t offset) const { return std::bit_cast<double>(u64(offset)); }
    Lsn lsn(std::size_t offset) const { return Lsn{u64(offset)}; }
    bool flag(std::size_t offset) const { return bytes_[offset] != 0; }
    // Seconds; what nanoseconds cannot hold becomes the nearest that they can.
    Timestamp time(std::size_t offset) const {
        constexpr std::int64_t second = 1'000'000'000;
        constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max() / second;
        const auto seconds = static_cast<std::int64_t>(u64(offset));
        return Timestamp(std::chrono::seconds(std::clamp(seconds, -most, most)));
    }

  private:
    template <typename T>
    T get(std::size_t offset) const {
        return load_little<T>(bytes_.subspan(offset, sizeof(T)).data());
    }
    ByteView bytes_;
};

const Layout& layout_of(const Fields& fields) {
    const std::uint32_t version = fields.u32(at::control_version);
    for (const Layout& layout : layouts) {
        if (layout.version == version) return layout;
    }
    const bool swapped = std::ranges::any_of(
        layouts, [&](const Layout& layout) { return __builtin_bswap32(version) == layout.version; });
    throw Error(ErrorCode::incompatible,
                swapped ? "pg_control was written by a big-endian machine"
                        : fmt::format("pg_control has version {}, which is not known", version),
                swapped ? "back up clusters of such machines on the same kind of machine"
                        : "Holdfast knows PostgreSQL 13 to 18");
}

Checkpoint read_checkpoint(const Fields& fields) {
    Checkpoint checkpoint;
    checkpoint.record = fields.lsn(at::checkpoint);
    checkpoint.redo = fields.lsn(at::redo);
    checkpoint.timeline = fields.u32(at::timeline);
    checkpoint.previous_timeline = fields.u32(at::previous_timeline);
    checkpoint.full_page_writes = fields.flag(at::full_page_writes);
    checkpoint.next_xid = fields.u64(at::next_xid);
    checkpoint.next_oid = fields.u32(at::next_oid);
    checkpoint.next_multixact = fields.u32(at::next_multixact);
    checkpoint.next_multixact_offset = fields.u32(at::next_multixact_offset);
    checkpoint.oldest_xid = fields.u32(at::oldest_xid);
    checkpoint.oldest_xid_database = fields.u32(at::oldest_xid_database);
    checkpoint.oldest_multixact = fields.u32(at::oldest_multixact);
    checkpoint.oldest_multixact_database = fields.u32(at::oldest_multixact_database);
    checkpoint.oldest_active_xid = fields.u32(at::oldest_active_xid);
    checkpoint.time = fields.time(at::checkpoint_time);
    return checkpoint;
}

ControlFile read_fields(const Fields& fields) {
    ControlFile file;
    file.system_identifier = fields.u64(at::system_identifier);
    file.control_version = fields.u32(at::control_version);
    file.catalog_version = fields.u32(at::catalog_version);
    file.state = static_cast<ClusterState>(fields.u32(at::state));
    file.written = fields.time(at::written);
    file.checkpoint = read_checkpoint(fields);
    file.min_recovery_point = fields.lsn(at::min_recovery_point);
    file.min_recovery_timeline = fields.u32(at::min_recovery_timeline);
    file.backup_start = fields.lsn(at::backup_start);
    file.backup_end = fields.lsn(at::backup_end);
    file.backup_end_required = fields.flag(at::backup_end_required);
    file.wal_level = static_cast<WalLevel>(fields.u32(at::wal_level));
    file.wal_log_hints = fields.flag(at::wal_log_hints);
    file.track_commit_timestamp = fields.flag(at::track_commit_timestamp);
    file.floor = {fields.u32(at::max_connections), fields.u32(at::max_worker_processes),
                  fields.u32(at::max_wal_senders), fields.u32(at::max_prepared), fields.u32(at::max_locks)};
    file.block_bytes = fields.u32(at::block_bytes);
    file.segment_blocks = fields.u32(at::segment_blocks);
    file.wal_block_bytes = fields.u32(at::wal_block_bytes);
    file.wal_segment_bytes = fields.u32(at::wal_segment_bytes);
    file.data_checksum_version = fields.u32(at::data_checksum_version);
    return file;
}

[[noreturn]] void fail(std::string_view what, std::uint64_t value) {
    throw Error(ErrorCode::corrupt, fmt::format("pg_control says that {} is {}", what, value),
                "the file is damaged although its CRC is right: look with pg_controldata");
}

bool is_power(std::uint32_t value, std::uint32_t least, std::uint32_t most) {
    return value >= least && value <= most && std::has_single_bit(value);
}

void check(const ControlFile& file, const Fields& fields) {
    if (fields.u32(at::max_align) != 8 || fields.number(at::float_format) != float_format_value) {
        throw Error(ErrorCode::incompatible, "pg_control was written by a machine of another architecture",
                    "only clusters of 64-bit little-endian machines can be read");
    }
    if (file.state > ClusterState::in_production) fail("the state", static_cast<std::uint32_t>(file.state));
    if (file.wal_level > WalLevel::logical) fail("wal_level", static_cast<std::uint32_t>(file.wal_level));
    if (!is_power(file.block_bytes, least_page_bytes, most_page_bytes)) {
        fail("the block size", file.block_bytes);
    }
    if (file.segment_blocks == 0) fail("the number of blocks in a segment", 0);
    if (!is_power(file.wal_block_bytes, 1U << 10, 1U << 16)) {
        fail("the block size of the log", file.wal_block_bytes);
    }
    if (!is_power(file.wal_segment_bytes, 1U << 20, 1U << 30)) {
        fail("the segment size of the log", file.wal_segment_bytes);
    }
    if (file.checkpoint.timeline == 0) fail("the timeline", 0);
}

} // namespace

std::string_view to_string(ClusterState state) {
    switch (state) {
    case ClusterState::starting_up:
        return "starting up";
    case ClusterState::shut_down:
        return "shut down";
    case ClusterState::shut_down_in_recovery:
        return "shut down in recovery";
    case ClusterState::shutting_down:
        return "shutting down";
    case ClusterState::in_crash_recovery:
        return "in crash recovery";
    case ClusterState::in_archive_recovery:
        return "in archive recovery";
    case ClusterState::in_production:
        return "in production";
    }
    return "unrecognized status code";
}

std::string_view to_string(WalLevel level) {
    switch (level) {
    case WalLevel::minimal:
        return "minimal";
    case WalLevel::replica:
        return "replica";
    case WalLevel::logical:
        return "logical";
    }
    return "unrecognized wal_level";
}

std::optional<int> ControlFile::major_version() const {
    for (const Release& release : releases) {
        if (release.catalog_version == catalog_version) return release.major;
    }
    return std::nullopt;
}

ControlFile parse_control_file(ByteView bytes) {
    constexpr std::size_t used = layouts[std::size(layouts) - 1].crc + sizeof(std::uint32_t);
    if (bytes.size() < used) {
        throw Error(ErrorCode::corrupt, fmt::format("pg_control has only {} bytes", bytes.size()),
                    "the cluster cannot start without it: restore it from a backup");
    }
    const Fields fields(bytes);
    const Layout& layout = layout_of(fields);
    ControlFile file = read_fields(fields);
    file.crc_right = crc32c(0, bytes.first(layout.crc)) == fields.u32(layout.crc);
    if (file.crc_right) check(file, fields);
    return file;
}

} // namespace holdfast::postgres
