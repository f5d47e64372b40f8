#include "postgres/archive/wal_details.h"

#include "base/error.h"
#include "repository/log/slice_format.h"

#include <bit>

namespace holdfast::postgres {

namespace {

constexpr std::uint8_t details_version = 1;
// Of each at least three bytes follow.
constexpr std::size_t most_points_to_read = largest_slice_info_bytes / 3;
constexpr std::size_t longest_name_bytes = 1024;
constexpr std::size_t longest_history_bytes = 1u << 20;
// As far from 1970 as a Timestamp, which counts nanoseconds, can be.
constexpr std::int64_t farthest_time_us = INT64_MAX / 1000;

std::int64_t time_from(ByteReader& in) {
    const std::int64_t time_us = in.signed_varint();
    if (time_us > farthest_time_us || time_us < -farthest_time_us) in.fail("tells of an impossible time");
    return time_us;
}

} // namespace

Bytes encode_wal_details(const WalDetails& details) {
    ByteWriter out;
    out.u8(details_version);
    out.u64(details.system_identifier);
    out.varint(static_cast<std::uint64_t>(details.version));
    out.u8(static_cast<std::uint8_t>(std::bit_width(details.segment_bytes)));
    for (const Lsn position : {details.records_from, details.records_to, details.previous, details.last})
        out.varint(position.value);
    out.sized(details.broken);
    out.varint(details.commits);
    out.signed_varint(details.first_commit_us);
    out.signed_varint(details.last_commit_us);
    out.varint(details.last_commit_end.value);
    out.varint(details.restore_points.size());
    for (const ArchivedRestorePoint& point : details.restore_points) {
        out.sized(point.name);
        out.varint(point.at.value);
        out.signed_varint(point.time_us);
    }
    out.sized(details.history);
    return std::move(out).take();
}

WalDetails decode_wal_details(ByteView bytes, std::string_view what) {
    ByteReader in(bytes, what);
    if (in.u8() != details_version) {
        throw Error(ErrorCode::incompatible,
                    std::string(what) + " describes its log in a way that this version does not know",
                    "use a newer version of Holdfast");
    }
    WalDetails details;
    details.system_identifier = in.u64();
    details.version = static_cast<int>(in.varint_at_most(1000));
    const unsigned width = in.u8();
    if (width > 31) in.fail("has segments of an impossible size");
    details.segment_bytes = width == 0 ? 0 : std::uint64_t{1} << (width - 1);
    for (Lsn* position : {&details.records_from, &details.records_to, &details.previous, &details.last})
        position->value = in.varint();
    details.broken = in.sized_text(longest_name_bytes);
    details.commits = in.varint();
    details.first_commit_us = time_from(in);
    details.last_commit_us = time_from(in);
    details.last_commit_end.value = in.varint();
    const std::uint64_t points = in.varint_at_most(most_points_to_read);
    for (std::uint64_t i = 0; i < points; ++i) {
        ArchivedRestorePoint& point = details.restore_points.emplace_back();
        point.name = in.sized_text(longest_name_bytes);
        point.at.value = in.varint();
        point.time_us = time_from(in);
    }
    details.history = in.sized_text(longest_history_bytes);
    in.expect_end();
    return details;
}

} // namespace holdfast::postgres
