#include "base/crc32c.h"
#include "base/random.h"
#include "postgres/files/control_file.h"
#include "support/error_matchers.h"
#include "unit/postgres/real_control_files.h"

#include <gtest/gtest.h>

namespace holdfast::postgres {
namespace {

using holdfast::test::code_of;
using holdfast::test::error_of;

Bytes bytes_of(const test::RealControlFile& real) { return from_base64(real.base64); }

// With the CRC made right again, so that what is changed is looked at.
Bytes changed(const test::RealControlFile& real, std::size_t at, std::uint32_t value) {
    Bytes bytes = bytes_of(real);
    std::memcpy(bytes.data() + at, &value, sizeof value);
    const std::size_t crc_at = real.major == 18 ? 292 : 288;
    const std::uint32_t crc = crc32c(0, ByteView(bytes).first(crc_at));
    std::memcpy(bytes.data() + crc_at, &crc, sizeof crc);
    return bytes;
}

TEST(ControlFile, OfEveryReleaseIsReadAsItsServerDoes) {
    for (const test::RealControlFile& real : test::real_control_files) {
        SCOPED_TRACE(real.major);
        const ControlFile file = parse_control_file(bytes_of(real));
        EXPECT_TRUE(file.crc_right);
        EXPECT_EQ(file.major_version(), real.major);
        EXPECT_EQ(file.control_version, real.major == 18 ? 1800U : real.major == 17 ? 1700U : 1300U);
        EXPECT_EQ(file.system_identifier, real.system_identifier);
        EXPECT_EQ(file.catalog_version, real.catalog_version);
        EXPECT_EQ(file.state, ClusterState::in_production);
        EXPECT_EQ(file.checkpoint.record.str(), real.checkpoint);
        EXPECT_EQ(file.checkpoint.redo.str(), real.redo);
        EXPECT_EQ(file.checkpoint.timeline, 1U);
        EXPECT_EQ(file.checkpoint.previous_timeline, 1U);
        EXPECT_TRUE(file.checkpoint.full_page_writes);
        EXPECT_EQ(file.checkpoint.next_xid, real.next_xid);
        EXPECT_EQ(file.checkpoint.next_oid, real.next_oid);
        EXPECT_EQ(file.checkpoint.oldest_active_xid, real.oldest_active_xid);
        EXPECT_EQ(file.checkpoint.next_multixact, 1U);
        EXPECT_EQ(to_rfc3339(file.checkpoint.time), real.time);
        EXPECT_GE(file.written, file.checkpoint.time);
        EXPECT_FALSE(file.min_recovery_point);
        EXPECT_FALSE(file.backup_start);
        EXPECT_FALSE(file.backup_end);
        EXPECT_FALSE(file.backup_end_required);
        EXPECT_EQ(file.wal_level, WalLevel::logical);
        EXPECT_TRUE(file.wal_log_hints);
        EXPECT_TRUE(file.track_commit_timestamp);
        const StandbyFloor floor{static_cast<std::uint32_t>(120 + real.major % 10), 9, 11, 3, 65};
        EXPECT_EQ(file.floor, floor);
        EXPECT_EQ(file.block_bytes, 8192U);
        EXPECT_EQ(file.segment_blocks, 131072U);
        EXPECT_EQ(file.wal_block_bytes, 8192U);
        EXPECT_EQ(file.wal_segment_bytes, 16U << 20);
        EXPECT_EQ(file.data_checksum_version, 1U);
        EXPECT_TRUE(file.data_checksums());
    }
}

TEST(ControlFile, AnyChangedBitBreaksTheCrc) {
    for (const test::RealControlFile& real : test::real_control_files) {
        const std::size_t used = real.major == 18 ? 296 : 292;
        for (std::size_t bit = 0; bit < used * 8; ++bit) {
            if (bit / 8 >= 8 && bit / 8 < 12) continue; // the version: another test
            Bytes bytes = bytes_of(real);
            bytes[bit / 8] = static_cast<Byte>(bytes[bit / 8] ^ 1U << bit % 8);
            ASSERT_FALSE(parse_control_file(bytes).crc_right) << real.major << ", bit " << bit;
        }
    }
}

TEST(ControlFile, BehindTheUsedPartAnythingMayBe) {
    Bytes bytes = bytes_of(test::real_control_files[5]);
    bytes.resize(control_file_bytes, 0xff);
    EXPECT_TRUE(parse_control_file(bytes).crc_right);
}

TEST(ControlFile, OtherVersionsAndMachinesAreNamed) {
    for (const test::RealControlFile& real : test::real_control_files) {
        const auto newer = error_of([&] { parse_control_file(changed(real, 8, 1900)); });
        EXPECT_EQ(newer->code(), ErrorCode::incompatible);
        EXPECT_NE(newer->message().find("1900"), std::string::npos);
        const auto swapped = error_of([&] { parse_control_file(changed(real, 8, __builtin_bswap32(1300))); });
        EXPECT_NE(swapped->message().find("big-endian"), std::string::npos);
        EXPECT_EQ(code_of([&] { parse_control_file(changed(real, 204, 4)); }), "incompatible");
        EXPECT_EQ(code_of([&] { parse_control_file(changed(real, 208, 1)); }), "incompatible");
        EXPECT_FALSE(parse_control_file(changed(real, 12, 202001011)).major_version());
    }
}

TEST(ControlFile, ImpossibleValuesAreRefusedOnceTheCrcIsRight) {
    struct Case {
        std::size_t at;
        std::uint32_t value;
        const char* what;
    };
    for (const Case& bad :
         {Case{16, 7, "the state"}, Case{172, 3, "wal_level"}, Case{216, 0, "the block size"},
          Case{216, 12288, "the block size"}, Case{216, 65536, "the block size"},
          Case{220, 0, "the number of blocks"}, Case{224, 3, "the block size of the log"},
          Case{228, 1 << 19, "the segment size of the log"},
          Case{228, 3 << 20, "the segment size of the log"}, Case{48, 0, "the timeline"}}) {
        for (const test::RealControlFile& real : test::real_control_files) {
            Bytes bytes = changed(real, bad.at, bad.value);
            const auto error = error_of([&] { parse_control_file(bytes); });
            EXPECT_EQ(error->code(), ErrorCode::corrupt);
            EXPECT_NE(error->message().find(bad.what), std::string::npos) << error->message();
            // With a wrong CRC nothing is believed, and nothing refused.
            bytes[real.major == 18 ? 292 : 288] ^= 1;
            EXPECT_FALSE(parse_control_file(bytes).crc_right);
        }
    }
}

TEST(ControlFile, ShortFilesAreRefused) {
    const Bytes bytes = bytes_of(test::real_control_files[2]);
    for (std::size_t size = 0; size < 296; ++size) {
        EXPECT_EQ(code_of([&] { parse_control_file(ByteView(bytes).first(size)); }), "corrupt");
    }
}

TEST(ControlFile, TimesOutsideOfNanosecondsDoNotOverflow) {
    for (const std::uint32_t high : {0x7fffffffU, 0x80000000U, 0xffffffffU}) {
        const ControlFile file = parse_control_file(changed(test::real_control_files[2], 28, high));
        EXPECT_EQ(file.written > Timestamp{}, high == 0x7fffffffU);
    }
}

TEST(ControlFile, RubbishIsNoCluster) {
    SeededRandom random(3);
    for (int i = 0; i < 2000; ++i) {
        Bytes bytes(512);
        random.fill(bytes);
        EXPECT_EQ(code_of([&] { parse_control_file(bytes); }), "incompatible");
    }
}

TEST(ControlFile, StatesHaveTheNamesThatPgControldataPrints) {
    EXPECT_EQ(to_string(ClusterState::shut_down_in_recovery), "shut down in recovery");
    EXPECT_EQ(to_string(ClusterState::in_archive_recovery), "in archive recovery");
    EXPECT_EQ(to_string(static_cast<ClusterState>(9)), "unrecognized status code");
    EXPECT_EQ(to_string(WalLevel::replica), "replica");
}

} // namespace
} // namespace holdfast::postgres
