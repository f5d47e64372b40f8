// Archives of real servers' log, proven; and what 'wal verify', 'window' and 'stats' say when it has gaps.
#include "postgres/archive/wal_push.h"
#include "postgres/continuity/verify_wal.h"
#include "support/holdfast_user.h"
#include "support/receive_fixture.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace holdfast;
using namespace holdfast::postgres;
using namespace holdfast::test;
using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

namespace {

class VerifyArchive : public ReceiveBase, public testing::TestWithParam<int> {
  protected:
    WalVerifyReport verify() const {
        Progress progress;
        return verify_wal(*repository, {.source = "orders"}, progress, {});
    }
};

void busy(const PostgresServer& server) {
    write_some(server, 1);
    server.execute("CREATE INDEX ON w (t); DELETE FROM w WHERE i % 3 = 0");
    server.execute("VACUUM w");
    server.execute("BEGIN; UPDATE w SET i = i + 1; ROLLBACK");
    server.execute("SELECT pg_create_restore_point('here')");
    server.execute("SELECT pg_switch_wal()");
    server.execute("TRUNCATE w; CHECKPOINT");
    write_some(server, 1);
}

} // namespace

INSTANTIATE_TEST_SUITE_P(Versions, VerifyArchive, testing::ValuesIn(postgres_versions));

TEST_P(VerifyArchive, WhatReceiversAndPushesStoreIsProvenAcrossAPromotion) {
    PostgresServer primary(options_of(GetParam()));
    const auto standby = PostgresServer::standby_of(primary, {}, options_of(GetParam()).settings);
    connect_to(*standby);
    RunningReceiver receiver = start();
    receiver.wait_for([](const auto& state) { return state.phase == "streaming"; });
    busy(primary);
    primary.stop(PostgresStop::kill);
    primary.start();
    busy(primary);
    standby->catch_up_with(primary);
    standby->promote();
    busy(*standby);
    receiver.wait_until_archived({2, position_of(*standby)});
    receiver.stop();
    WalVerifyReport report = verify();
    for (const WalFinding& finding : report.findings)
        ADD_FAILURE() << finding.object << " " << finding.at.str() << ": " << finding.what;
    ASSERT_THAT(report.timelines, SizeIs(2));
    for (const VerifiedTimeline& timeline : report.timelines) {
        EXPECT_THAT(timeline.stretches, SizeIs(1));
        EXPECT_GT(timeline.records, 1000U);
    }
    // The same again, cut by somebody else.
    PushSettings push;
    push.source = "orders";
    push.spool_directory = files.scratch.file("pushed");
    for (const TimelineId timeline : {1U, 2U}) {
        const std::string& directory = (timeline == 1 ? primary : *standby).data_directory();
        for (const std::string& name : wal_segments(directory, timeline)) {
            const Lsn begin = parse_segment_name(name, receive_segment_bytes)->begin;
            const Lsn end = timeline == 2 ? position_of(*standby) : report.timelines[0].stretches[0].end;
            if (begin + receive_segment_bytes > end) continue;
            push_wal(*repository, directory + "/pg_wal/" + name, push, {});
        }
    }
    report = verify();
    EXPECT_TRUE(report.intact());
    for (const WalFinding& finding : report.findings)
        ADD_FAILURE() << finding.object << " " << finding.at.str() << ": " << finding.what;
}

class VerifyProgram : public HoldfastUser {};

TEST_F(VerifyProgram, GapsAreSaidInTimesByVerifyAndWindowAlike) {
    PostgresServer server(options_of(15));
    run({"init"});
    write("../holdfast.toml", "[source.orders]\nkind = \"postgresql\"\nconnection = \"" + server.conninfo() +
                                  "\"\ndata_directory = \"" + server.data_directory() +
                                  "\"\nspool_directory = \"" + scratch.file("spool") + "\"\n");
    const auto words = [&](std::vector<std::string> more) {
        more.insert(more.begin(), {"--config", scratch.file("holdfast.toml")});
        return more;
    };
    json(words({"backup", "orders"}));
    const auto push_but = [&](const std::string& left_out) {
        server.execute("SELECT pg_switch_wal()");
        for (const std::string& name : wal_segments(server.data_directory())) {
            const Lsn begin = parse_segment_name(name, receive_segment_bytes)->begin;
            if (name != left_out && begin + receive_segment_bytes <= position_of(server))
                json(words(
                    {"wal", "push", "orders", server.data_directory() + "/pg_wal/" + name, "--batch", "1"}));
        }
    };
    write_some(server, 2);
    push_but("");
    EXPECT_EQ(json(words({"wal", "verify", "orders"})).at("intact"), true);
    EXPECT_THAT(run(words({"wal", "verify", "orders"})).out, HasSubstr("Intact"));
    EXPECT_THAT(json(words({"window", "orders"})).at("gaps"), SizeIs(0));

    // A segment of what comes now never arrives.
    const Lsn before = position_of(server);
    write_some(server, 3);
    const std::string lost = segment_name(1, before + 2 * receive_segment_bytes, receive_segment_bytes);
    push_but(lost);
    std::filesystem::remove(server.data_directory() + "/pg_wal/" + lost);
    const nlohmann::json anew = json(words({"backup", "orders"}));
    EXPECT_EQ(anew.at("incremental"), false);
    EXPECT_THAT(anew.at("full_because").get<std::string>(), HasSubstr("is neither in the archive nor at"));
    const std::string second = anew.at("snapshot").get<std::string>();
    const nlohmann::json verified = json(words({"wal", "verify", "orders"}), 1);
    EXPECT_EQ(verified.at("intact"), false);
    EXPECT_THAT(verified.at("findings"), SizeIs(0));
    ASSERT_THAT(verified.at("gaps"), SizeIs(1));
    const nlohmann::json gap = verified.at("gaps").at(0);
    EXPECT_EQ(gap.at("begin_lsn"), parse_segment_name(lost, receive_segment_bytes)->begin.str());
    EXPECT_EQ(gap.at("again_from"), second);
    EXPECT_TRUE(gap.at("after").is_string());
    EXPECT_EQ(json(words({"window", "orders"}), 3).at("gaps"), verified.at("gaps"));
    const ProgramRun text = run(words({"wal", "verify", "orders"}));
    EXPECT_EQ(text.exit_code, 1);
    EXPECT_THAT(text.out, HasSubstr("is missing; nothing after 20"));
    EXPECT_THAT(text.out, HasSubstr("from snapshot " + second.substr(0, 8) + " on it can again"));
    EXPECT_EQ(json(words({"wal", "verify", "--newest", "orders"})).at("intact"), true);

    const nlohmann::json logs = json(words({"stats"})).at("logs");
    ASSERT_THAT(logs, SizeIs(1));
    EXPECT_EQ(logs.at(0).at("source"), "orders");
    EXPECT_GT(logs.at(0).at("slices").get<int>(), 5);
    EXPECT_GT(logs.at(0).at("log_bytes").get<std::uint64_t>(), 5 * receive_segment_bytes);
    EXPECT_THAT(failure(words({"wal", "verify", "orders", "--from", "2026-11-21T10:00:00"}), 2),
                HasSubstr("zone"));
}
