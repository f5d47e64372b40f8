// What a prune lets go of log, of a repository as a whole: which sources and archives, by which policy, and
// when nothing.
#include "postgres/archive/wal_details.h"
#include "postgres/recovery/log_chain.h"
#include "repository/log/log_writer.h"
#include "repository/protocol/writer_session.h"
#include "service/log_release.h"
#include "unit/service/retention_fixture.h"

#include <gmock/gmock.h>

namespace holdfast {
namespace {

using std::chrono::days;
using std::chrono::hours;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr std::uint64_t segment_bytes = std::uint64_t{1} << 20;

// A cluster that writes a segment and commits once an hour.
struct MadeCluster {
    std::string source;
    ArchiveId archive;
    std::uint64_t segment = 1;
    std::uint64_t told_segment_bytes = segment_bytes;
};

class LogReleaseOfRepositoryTest : public RetentionTest {
  protected:
    LogReleaseOfRepositoryTest() {
        policies = policy(R"({"window": "3d"})");
        root = back_up("documents").root;
    }
    static MadeCluster cluster(const std::string& source, Byte number) {
        MadeCluster made{source, {}};
        made.archive = archive_id(domain_id("default"), Bytes(32, number), source, "1");
        return made;
    }
    void work(MadeCluster& cluster, int segments) {
        LogWriter log(repository->context(), cluster.archive, 1);
        for (int i = 0; i < segments; ++i, ++cluster.segment) {
            pass(hours(1));
            const LogRange range{1, cluster.segment * segment_bytes, (cluster.segment + 1) * segment_bytes};
            postgres::WalDetails made;
            made.version = 15;
            made.segment_bytes = cluster.told_segment_bytes;
            made.records_from = postgres::Lsn{range.begin};
            made.records_to = postgres::Lsn{range.end};
            made.commits = 1;
            made.first_commit_us = made.last_commit_us =
                std::chrono::duration_cast<std::chrono::microseconds>(clock.now().time_since_epoch()).count();
            made.last_commit_end = postgres::Lsn{range.end - 8};
            log.put(log.seal({range, Bytes(segment_bytes), encode_wal_details(made), {}}, compressor));
        }
    }
    // Of no bytes that matter, which tells of such segments.
    void tell_of_segments(const MadeCluster& cluster, std::uint64_t begin, std::uint64_t bytes) {
        LogWriter log(repository->context(), cluster.archive, 1);
        postgres::WalDetails told;
        told.segment_bytes = bytes;
        log.put(log.seal({{1, begin, begin + 8}, Bytes(8), encode_wal_details(told), {}}, compressor));
    }
    // Of the next segment, that its clock takes to be made at `time`.
    Snapshot take_snapshot(MadeCluster& cluster, std::optional<Timestamp> time = {}) {
        const std::uint64_t begin = cluster.segment * segment_bytes;
        work(cluster, 1);
        RunContext run = repository->keys().begin_run(random);
        const auto session = WriterSession::begin(repository->context(), run, "test", Duration::zero());
        Snapshot made;
        made.id = run.id();
        made.source = cluster.source;
        made.domain = repository->keys().domain();
        made.kind = "postgresql";
        made.sequence = ++sequence;
        made.time = made.end = time.value_or(clock.now());
        made.root = root;
        made.log = SnapshotLog{cluster.archive, {1, begin + 100, begin + segment_bytes}};
        session->commit(made);
        return made;
    }
    // A day of which the snapshot is the last hour.
    Snapshot live_a_day(MadeCluster& cluster) {
        work(cluster, 23);
        return take_snapshot(cluster);
    }
    LogRelease release(LogReleaseSettings settings = {}) {
        return log_release(*repository, policies, settings);
    }
    static std::uint64_t begin_of(const Snapshot& snapshot) {
        return snapshot.log->range.begin / segment_bytes * segment_bytes;
    }

    Compressor compressor;
    NodeRef root;
    std::uint64_t sequence = 0;
};

TEST_F(LogReleaseOfRepositoryTest, GoesByTheWindow) {
    MadeCluster orders = cluster("orders", 1);
    std::vector<Snapshot> snapshots;
    for (int day = 0; day < 6; ++day) snapshots.push_back(live_a_day(orders));
    const LogRelease found = release();
    EXPECT_THAT(found.problems, IsEmpty());
    ASSERT_THAT(found.logs, SizeIs(1));
    EXPECT_EQ(found.logs[0].position, begin_of(snapshots[2]));
    EXPECT_EQ(found.logs[0].from, snapshots[2].end);
    EXPECT_EQ(found.logs[0].policy, "p");
    EXPECT_EQ(found.floors().at({orders.archive, 1}), begin_of(snapshots[2]));
    EXPECT_EQ(found.units.at(orders.archive), segment_bytes);
    EXPECT_THAT(release({.keep_log = true}).logs, IsEmpty());
    EXPECT_EQ(release({.keep_log = true}).units.at(orders.archive), segment_bytes);
    policies.clear();
    EXPECT_THAT(release().logs, IsEmpty());
    EXPECT_EQ(release().units.at(orders.archive), segment_bytes);
}

// As a stolen key may store them, in front of all and where a snapshot begins.
TEST_F(LogReleaseOfRepositoryTest, NoSliceMakesSegmentsSmaller) {
    MadeCluster orders = cluster("orders", 1);
    tell_of_segments(orders, 0, 1);
    std::vector<Snapshot> snapshots;
    for (int day = 0; day < 6; ++day) snapshots.push_back(live_a_day(orders));
    tell_of_segments(orders, snapshots[2].log->range.begin, 1);
    const LogRelease found = release();
    EXPECT_EQ(found.units.at(orders.archive), segment_bytes);
    ASSERT_THAT(found.logs, SizeIs(1));
    EXPECT_EQ(found.logs[0].position, begin_of(snapshots[2]));
}

TEST_F(LogReleaseOfRepositoryTest, SegmentsAreNeverSmallerThanServersHaveThem) {
    MadeCluster orders = cluster("orders", 1);
    orders.told_segment_bytes = 1;
    take_snapshot(orders);
    EXPECT_EQ(release({.keep_log = true}).units.at(orders.archive), segment_bytes);
}

// pg_resetwal gives a cluster other segments, and its log stays in the same archive.
TEST_F(LogReleaseOfRepositoryTest, OfSeveralSizesTheLargestCounts) {
    MadeCluster orders = cluster("orders", 1);
    live_a_day(orders);
    orders.told_segment_bytes = 4 * segment_bytes;
    const Snapshot behind = live_a_day(orders);
    EXPECT_EQ(release({.keep_log = true}).units.at(orders.archive), 4 * segment_bytes);
    orders.told_segment_bytes = segment_bytes;
    live_a_day(orders);
    EXPECT_EQ(release({.keep_log = true}).units.at(orders.archive), 4 * segment_bytes);
    // Where log goes between snapshots, what none of them begins with counts as well.
    forget_snapshot(repository->context(), behind.id, false);
    EXPECT_EQ(release({.keep_log = true}).units.at(orders.archive), segment_bytes);
    EXPECT_EQ(release().units.at(orders.archive), 4 * segment_bytes);
}

TEST_F(LogReleaseOfRepositoryTest, WhereNoSliceTellsTheLongestSegmentsCount) {
    const MadeCluster orders = cluster("orders", 1);
    MadeCluster silent = orders;
    silent.told_segment_bytes = 0;
    take_snapshot(silent);
    EXPECT_EQ(release({.keep_log = true}).units.at(orders.archive), std::uint64_t{1} << 30);
}

// The host's clock was eight days behind when the newest one was made.
TEST_F(LogReleaseOfRepositoryTest, AClockThatWasBehindLetsNothingGo) {
    MadeCluster orders = cluster("orders", 1);
    for (int day = 0; day < 2; ++day) live_a_day(orders);
    take_snapshot(orders, clock.now() - days(8));
    LogRelease found = release();
    EXPECT_THAT(found.logs, IsEmpty());
    EXPECT_THAT(found.problems, ElementsAre(HasSubstr("a clock was wrong")));
    // Also when others were made since.
    live_a_day(orders);
    found = release();
    EXPECT_THAT(found.logs, IsEmpty());
    EXPECT_THAT(found.problems, ElementsAre(HasSubstr("a clock was wrong")));
}

// A thief's, who takes the number and the time that fit before the window, and log of an hour ago.
TEST_F(LogReleaseOfRepositoryTest, ASnapshotThatSaysItIsOldLetsNothingOfTheWindowGo) {
    MadeCluster orders = cluster("orders", 1);
    std::vector<Snapshot> snapshots;
    for (int day = 0; day < 6; ++day) snapshots.push_back(live_a_day(orders));
    sequence = snapshots[2].sequence - 1;
    take_snapshot(orders, clock.now() - days(3) - std::chrono::minutes(1));
    const LogRelease found = release();
    ASSERT_THAT(found.logs, SizeIs(1));
    EXPECT_EQ(found.logs[0].position, begin_of(snapshots[2]));
}

TEST_F(LogReleaseOfRepositoryTest, WhatCannotBeReadMayBeAHold) {
    MadeCluster orders = cluster("orders", 1);
    for (int day = 0; day < 6; ++day) live_a_day(orders);
    hold_snapshot(*repository, take_snapshot(orders), "case 4711", "legal");
    EXPECT_THAT(release().logs, SizeIs(1)) << "what is held can be restored as it was made";
    const std::string name = store->list_all("statements/").at(0).name;
    store->remove(name, {});
    store->put(name, as_bytes("rubbish"), {}, {});
    const LogRelease found = release();
    EXPECT_THAT(found.logs, IsEmpty());
    EXPECT_THAT(found.problems, SizeIs(1));
}

TEST_F(LogReleaseOfRepositoryTest, AClockThatCannotBeBelievedLetsNothingGo) {
    MadeCluster orders = cluster("orders", 1);
    for (int day = 0; day < 6; ++day) live_a_day(orders);
    pass(days(40));
    const LogRelease found = release();
    EXPECT_THAT(found.logs, IsEmpty());
    EXPECT_THAT(found.problems, ElementsAre(HasSubstr("the newest snapshot is of")));
    EXPECT_THAT(release({.trust = {.idle = true}}).logs, SizeIs(1));
    clock.advance(hours(2));
    EXPECT_THAT(release().problems, SizeIs(1));
    // Who only asks puts nothing.
    const std::size_t objects = store->list_all("").size();
    EXPECT_THAT(release({.dry_run = true}).logs, SizeIs(1));
    EXPECT_EQ(store->list_all("").size(), objects);
}

TEST_F(LogReleaseOfRepositoryTest, WithoutLogNoClockMatters) {
    pass(days(40));
    EXPECT_THAT(release().problems, IsEmpty());
}

// Who names another's archive as his would decide what is kept of it.
TEST_F(LogReleaseOfRepositoryTest, AnArchiveThatTwoSourcesNameStays) {
    MadeCluster orders = cluster("orders", 1), billing = cluster("billing", 2);
    for (int day = 0; day < 6; ++day) {
        live_a_day(orders);
        live_a_day(billing);
    }
    EXPECT_THAT(release().logs, SizeIs(2));
    MadeCluster stranger = orders;
    stranger.source = "stranger";
    take_snapshot(stranger);
    const LogRelease found = release();
    ASSERT_THAT(found.logs, SizeIs(1));
    EXPECT_EQ(found.logs[0].source, "billing");
    EXPECT_THAT(found.problems, testing::Each(HasSubstr("name it as theirs")));
    EXPECT_THAT(found.problems, testing::Contains(HasSubstr("'orders'")));
}

// A file that lies about may be of another time than what was stated.
TEST_F(LogReleaseOfRepositoryTest, OfTwoPoliciesOfOneNameTheLongerWindowCounts) {
    MadeCluster orders = cluster("orders", 1);
    std::vector<Snapshot> snapshots;
    for (int day = 0; day < 8; ++day) snapshots.push_back(live_a_day(orders));
    const auto say = [&](const char* retention) {
        state_policy(*repository, list_statements(repository->context()), "p", policy(retention).front());
    };
    say(R"({"window": "5d"})");
    LogRelease found = release();
    ASSERT_THAT(found.logs, SizeIs(1));
    EXPECT_EQ(found.logs[0].position, begin_of(snapshots[2]));
    EXPECT_EQ(found.logs[0].window, "5d");
    say(R"({"window": "1d"})");
    found = release();
    ASSERT_THAT(found.logs, SizeIs(1));
    EXPECT_EQ(found.logs[0].position, begin_of(snapshots[4]));
    say(R"({"last": 100})");
    found = release();
    EXPECT_THAT(found.logs, IsEmpty());
    EXPECT_THAT(found.problems, ElementsAre(HasSubstr("none as it is stated")));
}

} // namespace
} // namespace holdfast
