// The parts of postgres/server/ that need no server.
#include "postgres/server/base_backup_stream.h"
#include "postgres/server/server_error.h"
#include "postgres/server/slots.h"
#include "postgres/server/wire_numbers.h"
#include "support/error_matchers.h"

#include <gtest/gtest.h>

using namespace holdfast;
using namespace holdfast::postgres;
using namespace holdfast::test;

TEST(ServerErrors, OfARefusedConnectionAreTakenApart) {
    const ServerMessage said =
        parse_connection_failure("connection to server on socket \"/run/.s.PGSQL.5432\" failed: FATAL:  "
                                 "57P03: the database system is starting up\n"
                                 "LOCATION:  ProcessStartupPacket, postmaster.c:2326\n");
    EXPECT_EQ(said.sqlstate, "57P03");
    EXPECT_EQ(said.text, "connection to server on socket \"/run/.s.PGSQL.5432\" failed: FATAL: the database "
                         "system is starting up");
    const ServerError error("connecting", said);
    EXPECT_TRUE(error.retryable());
    EXPECT_EQ(error.code(), ErrorCode::unavailable);
    EXPECT_NE(error.hint(), "");
}

TEST(ServerErrors, OfSeveralHostsEndWithTheLast) {
    const ServerMessage said =
        parse_connection_failure("connection to server at \"a\", port 5432 failed: Connection refused\n"
                                 "\tIs the server running on that host and accepting TCP/IP connections?\n"
                                 "connection to server at \"b\", port 5432 failed: FATAL:  28P01: nein\n");
    EXPECT_EQ(said.sqlstate, "28P01");
    EXPECT_NE(said.text.find("Connection refused"), std::string::npos);
    EXPECT_EQ(parse_connection_failure("").text, "the connection failed");
}

TEST(ServerErrors, SayWhetherTryingAgainHelps) {
    EXPECT_TRUE(meaning_of_sqlstate("").retryable);
    EXPECT_TRUE(meaning_of_sqlstate("53300").retryable);
    EXPECT_TRUE(meaning_of_sqlstate("57P01").retryable);
    EXPECT_FALSE(meaning_of_sqlstate("28P01").retryable);
    EXPECT_EQ(meaning_of_sqlstate("53100").code, ErrorCode::no_space);
    EXPECT_EQ(meaning_of_sqlstate("42501").code, ErrorCode::access_denied);
    EXPECT_EQ(meaning_of_sqlstate("XX001").code, ErrorCode::corrupt);
    EXPECT_EQ(meaning_of_sqlstate("ZZZZZ").code, ErrorCode::internal);
}

TEST(WireNumbers, AreBigEndianAndCountFrom2000) {
    Bytes bytes;
    append_wire_u64(bytes, 0x0102030405060708);
    EXPECT_EQ(to_hex(bytes), "0102030405060708");
    EXPECT_EQ(read_wire_u64(bytes), 0x0102030405060708u);
    const Timestamp time = from_rfc3339("2026-11-21T10:00:00.000001Z");
    EXPECT_EQ(from_wire_time(to_wire_time(time)), time);
    EXPECT_EQ(to_rfc3339(from_wire_time(0)), "2000-01-01T00:00:00Z");
    EXPECT_GT(from_wire_time(INT64_MAX), time);
    EXPECT_LT(from_wire_time(static_cast<std::uint64_t>(INT64_MIN)), time);
}

TEST(SlotNames, AreWhatPostgresqlTakes) {
    EXPECT_TRUE(is_slot_name("holdfast_1"));
    EXPECT_TRUE(is_slot_name(std::string(63, 'a')));
    for (const std::string& name : {std::string(), std::string(64, 'a'), std::string("A"), std::string("a b"),
                                    std::string("a;b"), std::string("a-b")}) {
        EXPECT_FALSE(is_slot_name(name)) << name;
    }
}

TEST(BaseBackupCommands, FitTheVersion) {
    EXPECT_EQ(base_backup_command(130000, {.label = "it's", .max_rate_kib = 64}),
              "BASE_BACKUP LABEL 'it''s' PROGRESS FAST NOWAIT TABLESPACE_MAP MAX_RATE 64 NOVERIFY_CHECKSUMS "
              "MANIFEST 'no'");
    EXPECT_EQ(base_backup_command(
                  150000, {.label = "l", .fast_checkpoint = false, .server_verifies_checksums = true}),
              "BASE_BACKUP (LABEL 'l', PROGRESS true, CHECKPOINT 'spread', WAIT false, TABLESPACE_MAP true, "
              "MANIFEST 'no', "
              "VERIFY_CHECKSUMS true)");
    expect_error(ErrorCode::usage, [] { base_backup_command(150000, {.max_rate_kib = 31}); });
}
