// A cluster backed up under way and brought back: to each kind of target, with all rows as they were then.
#include "base/error.h"
#include "integration/postgres/data_directory.h"
#include "support/protected_source.h"

#include <filesystem>
#include <fstream>
#include <thread>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast::postgres {
namespace {

namespace fs = std::filesystem;
using holdfast::test::Instance;
using holdfast::test::postgres_versions;
using holdfast::test::shared_cluster;
using testing::HasSubstr;

// A commit, what all rows were behind it, and where and when that was.
struct Moment {
    std::string digest;
    Timestamp time; // between it and the next
    Lsn position;   // behind it
    std::uint64_t xid = 0;
};

constexpr const char* digest_of_all = "SELECT md5(string_agg(row, '|' ORDER BY row)) FROM ("
                                      "SELECT 't' || t::text AS row FROM public.t UNION ALL "
                                      "SELECT 's' || s::text FROM public.s) AS rows";

// Two snapshots, four commits and a restore point, and all log in the archive:
// snapshot, commit 0, restore point, commit 1, snapshot, commit 2, commit 3.
class Source : public holdfast::test::ProtectedCluster {
  public:
    explicit Source(int version) : ProtectedCluster(version) {
        server.execute("CREATE TABLESPACE space LOCATION '" + server.make_directory("space") + "'");
        server.execute(
            "CREATE TABLE t AS SELECT i AS id, md5(i::text) AS v FROM generate_series(1, 20000) i");
        server.execute("CREATE TABLE s (id int, v text) TABLESPACE space");
        snapshots.push_back(back_up());
        commit("INSERT INTO public.s SELECT i, md5(i::text) FROM generate_series(1, 500) i");
        server.execute("SELECT pg_create_restore_point('calm')");
        commit("UPDATE public.t SET v = v || 'x' WHERE id % 7 = 0");
        snapshots.push_back(back_up());
        commit("DELETE FROM public.t WHERE id % 3 = 0");
        commit("INSERT INTO public.s SELECT i, 'last' FROM generate_series(501, 600) i");
        push();
    }

    PostgresRestore restore_to(RecoveryTarget target, bool inclusive = true) {
        PostgresRestore what = ProtectedCluster::restore_to(std::move(target), inclusive);
        what.tablespaces = {{"space", new_place("space")}};
        return what;
    }
    std::string digest_at(const PostgresRestore& what) {
        const PostgresRestoreResult result = run(what);
        EXPECT_TRUE(result.started->writable);
        return Instance(*result.started).value(digest_of_all);
    }

    std::vector<Snapshot> snapshots;
    std::vector<Moment> moments;

  private:
    void commit(const std::string& sql) {
        const auto pause = [] { std::this_thread::sleep_for(std::chrono::milliseconds(30)); };
        auto session = server.connect();
        pause();
        Moment moment;
        session.execute("BEGIN");
        moment.xid = std::stoull(*session.query_value("SELECT pg_current_xact_id()"));
        session.execute(sql);
        session.execute("COMMIT");
        moment.position = *parse_lsn(*session.query_value("SELECT pg_current_wal_insert_lsn()"));
        pause();
        moment.time = system_clock().now();
        moment.digest = *session.query_value(digest_of_all);
        moments.push_back(moment);
    }
};

class RestoreOnAServer : public testing::TestWithParam<int> {
  protected:
    Source& source_ = shared_cluster<Source>(GetParam());
    const std::vector<Moment>& moments_ = source_.moments;

    Error refusal(const PostgresRestore& what) const { return source_.refusal(what); }
};

TEST_P(RestoreOnAServer, RowsAreAsTheyWereAtATime) {
    EXPECT_EQ(source_.digest_at(source_.restore_to(RecoverToTime{moments_[0].time})), moments_[0].digest);
    const PostgresRestore second = source_.restore_to(RecoverToTime{moments_[2].time});
    const PostgresRestoreResult result = source_.run(second);
    EXPECT_EQ(result.plan.snapshot.id, source_.snapshots[1].id);
    EXPECT_EQ(Instance(*result.started).value(digest_of_all), moments_[2].digest);
    EXPECT_GT(result.restore_seconds, 0);
}

TEST_P(RestoreOnAServer, RowsAreAsTheyWereAtAPosition) {
    EXPECT_EQ(source_.digest_at(source_.restore_to(RecoverToLsn{moments_[1].position}, false)),
              moments_[1].digest);
    EXPECT_EQ(source_.digest_at(source_.restore_to(RecoverToLsn{moments_[2].position}, false)),
              moments_[2].digest);
}

TEST_P(RestoreOnAServer, RowsAreAsTheyWereAtATransactionAndBeforeIt) {
    EXPECT_EQ(source_.digest_at(source_.restore_to(RecoverToXid{moments_[2].xid})), moments_[2].digest);
    EXPECT_EQ(source_.digest_at(source_.restore_to(RecoverToXid{moments_[3].xid}, false)),
              moments_[2].digest);
    // Also before the newest snapshot.
    EXPECT_EQ(source_.digest_at(source_.restore_to(RecoverToXid{moments_[0].xid})), moments_[0].digest);
    EXPECT_EQ(source_.digest_at(source_.restore_to(RecoverToXid{moments_[1].xid}, false)),
              moments_[0].digest);
}

TEST_P(RestoreOnAServer, RowsAreAsTheyWereAtARestorePoint) {
    EXPECT_EQ(source_.digest_at(source_.restore_to(RecoverToName{"calm"})), moments_[0].digest);
}

TEST_P(RestoreOnAServer, RowsAreAsTheyWereAtTheEndAndInASnapshot) {
    const PostgresRestoreResult latest = source_.run(source_.restore_to(RecoverToEnd{}));
    {
        const Instance instance(*latest.started);
        EXPECT_EQ(instance.value(digest_of_all), moments_[3].digest);
        EXPECT_EQ(instance.value("SHOW archive_mode"), "off");
        EXPECT_EQ(instance.value("SHOW listen_addresses"), "");
        EXPECT_EQ(latest.started->timeline, 2U);
        EXPECT_GE(latest.started->recovered_to, moments_[3].position);
    }
    PostgresRestore snapshot = source_.restore_to(RecoverToConsistency{});
    snapshot.request.snapshot = source_.snapshots[1].id;
    EXPECT_EQ(source_.digest_at(snapshot), moments_[1].digest);
    // The last commit's time, to the microsecond: a server alone would not know that it has come there.
    EXPECT_EQ(source_.digest_at(source_.restore_to(RecoverToTime{*latest.plan.last_commit})),
              moments_[3].digest);
}

TEST_P(RestoreOnAServer, ItsManifestIsAcceptedAndWhatIsLeftIsHarmless) {
    const PostgresRestore what = source_.restore_to(RecoverToEnd{});
    const PostgresRestoreResult restored = source_.restore(what);
    EXPECT_EQ(restored.restored->files.failed, 0U);
    EXPECT_GT(restored.restored->manifest_files, 500U);
    EXPECT_THAT(test::text_of_file(what.target + "/postgresql.auto.conf"),
                HasSubstr(restored.plan.snapshot.log->archive.hex()))
        << "another cluster may take the source's place before it is started";
    const auto verified = source_.server.run_tool("pg_verifybackup", {"-n", what.target});
    EXPECT_EQ(verified.exit_code, 0) << verified.out << verified.error;
    const fs::path place = what.tablespaces[0].path;
    EXPECT_EQ(fs::read_symlink(fs::path(what.target) / "pg_tblspc" /
                               fmt::to_string(restored.tablespaces.at(0).oid)),
              place);
    EXPECT_EQ(fs::status(what.target).permissions(), fs::perms::owner_all);
    const Instance instance(source_.start(restored));
    EXPECT_EQ(instance.value(digest_of_all), moments_[3].digest);
    const std::string left = test::text_of_file(what.target + "/postgresql.auto.conf");
    EXPECT_EQ(left.find("recovery_target"), std::string::npos) << left;
    EXPECT_NE(left.find("archive_mode = 'off'"), std::string::npos) << left;
}

TEST_P(RestoreOnAServer, InPlaceOnlyWhatDiffersIsWritten) {
    PostgresRestore what = source_.restore_to(RecoverToTime{moments_[1].time});
    const fs::path target = what.target;
    std::string file;
    {
        const Instance instance(*source_.run(what).started);
        file = instance.value("SELECT pg_relation_filepath('public.t')");
        instance.execute("CREATE TABLE public.more AS SELECT generate_series(1, 1000)");
    }
    { // a page is torn, a file lost, another one there
        std::fstream relation(target / file, std::ios::in | std::ios::out | std::ios::binary);
        relation.seekp(3 * 8192 + 100);
        relation << "torn";
    }
    fs::remove(target / "global/pg_filenode.map");
    std::ofstream(target / "base/rubbish") << "rubbish";
    std::ofstream(target / "standby.signal").flush();
    what.in_place = true;
    what.request.target = RecoverToEnd{};
    const PostgresRestoreResult again = source_.run(what);
    const TreeRestoreResult& files = again.restored->files;
    EXPECT_LT(files.written_bytes, files.bytes / 2);
    EXPECT_GT(files.same_files, files.files / 2);
    EXPECT_FALSE(fs::exists(target / "base/rubbish"));
    const Instance instance(*again.started);
    EXPECT_EQ(instance.value(digest_of_all), moments_[3].digest);
    EXPECT_EQ(instance.value("SELECT to_regclass('public.more')"), "");
    // What the first one had written on its own timeline is in no archive.
    ASSERT_FALSE(again.restored->put_aside.empty());
    EXPECT_TRUE(fs::exists(target / "pg_wal.not-archived" / again.restored->put_aside[0]));
}

TEST_P(RestoreOnAServer, WhatIsThereIsLeftAlone) {
    PostgresRestore what = source_.restore_to(RecoverToEnd{});
    what.target = source_.server.data_directory();
    EXPECT_THAT(refusal(what).message(), HasSubstr("a server runs in"));
    what.in_place = true;
    EXPECT_THAT(refusal(what).message(), HasSubstr("a server runs in"));

    what = source_.restore_to(RecoverToEnd{});
    fs::create_directory(what.target);
    std::ofstream(what.target + "/precious") << "data";
    EXPECT_THAT(refusal(what).message(), HasSubstr("is not empty"));
    what.in_place = true;
    EXPECT_THAT(refusal(what).message(), HasSubstr("no PostgreSQL data directory"));
    EXPECT_EQ(test::text_of_file(what.target + "/precious"), "data");

    what = source_.restore_to(RecoverToEnd{});
    what.tablespaces.clear(); // where the running server has it
    EXPECT_THAT(refusal(what).message(), HasSubstr("of tablespace"));
    EXPECT_FALSE(fs::exists(what.target));
    what.tablespaces = {{"nowhere", "/tmp/x"}};
    EXPECT_THAT(refusal(what).hint(), HasSubstr("(space)"));
}

TEST_P(RestoreOnAServer, ATargetThatIsNotThereIsRefusedOrFails) {
    const Error late =
        refusal(source_.restore_to(RecoverToTime{system_clock().now() + std::chrono::hours(1)}));
    EXPECT_EQ(late.code(), ErrorCode::not_found);
    EXPECT_THAT(late.hint(), HasSubstr("can be recovered"));
    const Error never = source_.refusal_to_run(source_.restore_to(RecoverToXid{moments_[3].xid + 1000}));
    EXPECT_EQ(never.code(), ErrorCode::not_found);
    EXPECT_THAT(never.message(), HasSubstr("no end of this transaction"));
}

TEST_P(RestoreOnAServer, ADryRunWritesNothing) {
    PostgresRestore what = source_.restore_to(RecoverToTime{moments_[0].time});
    what.dry_run = true;
    const PostgresRestoreResult result = source_.run(what);
    EXPECT_EQ(result.plan.snapshot.id, source_.snapshots[0].id);
    EXPECT_GT(result.plan.snapshot_bytes, 1'000'000U);
    EXPECT_GT(result.plan.log_bytes, 0U);
    EXPECT_FALSE(result.restored);
    EXPECT_FALSE(fs::exists(what.target));
}

TEST_P(RestoreOnAServer, PausesAtATargetWhenThatIsWanted) {
    PostgresRestore what = source_.restore_to(RecoverToTime{moments_[2].time});
    what.action = TargetAction::pause;
    const PostgresRestoreResult result = source_.run(what);
    EXPECT_FALSE(result.started->writable);
    const Instance instance(*result.started);
    EXPECT_EQ(instance.value("SELECT pg_is_in_recovery()"), "t");
    EXPECT_EQ(instance.value(digest_of_all), moments_[2].digest);
}

TEST_P(RestoreOnAServer, ShutsDownAtATargetWhenThatIsWanted) {
    PostgresRestore what = source_.restore_to(RecoverToTime{moments_[2].time});
    what.action = TargetAction::shutdown;
    const PostgresRestoreResult result = source_.run(what);
    EXPECT_EQ(result.started->process, 0);
    EXPECT_FALSE(result.started->writable);
    EXPECT_FALSE(fs::exists(what.target + "/postmaster.pid"));
}

INSTANTIATE_TEST_SUITE_P(Version, RestoreOnAServer, testing::ValuesIn(postgres_versions),
                         testing::PrintToStringParamName());

} // namespace
} // namespace holdfast::postgres
