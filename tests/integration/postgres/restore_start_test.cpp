// Servers over restored clusters that need other settings than the cluster brings, and in place of what is
// there.
#include "base/error.h"
#include "support/protected_source.h"

#include <filesystem>
#include <fstream>
#include <random>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/resource.h>

namespace holdfast::postgres {
namespace {

namespace fs = std::filesystem;
using holdfast::test::Instance;
using holdfast::test::postgres_versions;
using holdfast::test::shared_cluster;
using testing::Contains;
using testing::HasSubstr;
using testing::Pair;

constexpr const char* rows =
    "SELECT count(*) || ' ' || md5(string_agg(t::text, '|' ORDER BY id)) FROM public.t";

// Its limits are raised behind the snapshot.
class Source : public holdfast::test::ProtectedCluster {
  public:
    explicit Source(int version) : ProtectedCluster(version) {
        server.add_settings("max_connections = 20\nmax_prepared_transactions = 0\n");
        server.restart();
        server.execute("CREATE TABLE t AS SELECT i AS id, md5(i::text) || repeat('z', 400) AS v FROM "
                       "generate_series(1, 60000) i");
        server.execute("VACUUM FREEZE t"); // reading it changes nothing any more
        back_up();
        server.add_settings("max_connections = 40\nmax_prepared_transactions = 5\n");
        server.restart();
        server.execute("UPDATE t SET v = 'new' WHERE id % 1000 = 0");
        push();
        digest = server.query_value(rows);
    }

    std::string digest;
};

class RestoreStarts : public testing::TestWithParam<int> {
  protected:
    Source& source_ = shared_cluster<Source>(GetParam());
};

// Before 14 the server ends there, later it waits for somebody.
TEST_P(RestoreStarts, AnswersWhileItRecoversThoughTheOriginalRaisedItsLimits) {
    PostgresRestore what = source_.restore_to(RecoverToTime{system_clock().now()});
    source_.server.execute("INSERT INTO t VALUES (0, 'later')");
    source_.push();
    what.action = TargetAction::pause;
    const PostgresRestoreResult result = source_.run(what);
    const Instance instance(*result.started);
    EXPECT_EQ(instance.value("SELECT pg_is_in_recovery()"), "t");
    EXPECT_EQ(instance.value(rows), source_.digest);
    EXPECT_EQ(instance.value("SHOW max_connections"), "40");
    EXPECT_THAT(result.started->raised, Contains(Pair("max_connections", "40")));
    EXPECT_THAT(result.started->raised, Contains(Pair("max_prepared_transactions", "5")));
    source_.server.execute("DELETE FROM t WHERE id = 0");
    source_.push();
}

TEST_P(RestoreStarts, KeepsItsLimits) {
    PostgresRestore what = source_.restore_to();
    what.start.emplace();
    what.start->memory_bytes = 256u << 20;
    what.start->processors = 1;
    what.start->niceness = 3;
    what.start->settings = {{"work_mem", "3MB"}};
    const PostgresRestoreResult result = source_.run(what);
    const Instance instance(*result.started);
    EXPECT_EQ(instance.value("SHOW shared_buffers"), "64MB");
    EXPECT_EQ(instance.value("SHOW work_mem"), "3MB") << "what was said wins";
    EXPECT_EQ(instance.value("SHOW max_connections"), "20");
    cpu_set_t processors;
    ASSERT_EQ(::sched_getaffinity(result.started->process, sizeof processors, &processors), 0);
    EXPECT_EQ(CPU_COUNT(&processors), 1);
    EXPECT_EQ(::getpriority(PRIO_PROCESS, static_cast<id_t>(result.started->process)),
              ::getpriority(PRIO_PROCESS, 0) + 3);
}

TEST_P(RestoreStarts, SaysWhyTheServerDoesNotStart) {
    PostgresRestore what = source_.restore_to();
    what.start.emplace();
    what.start->settings = {{"shared_buffers", "6000GB"}, {"huge_pages", "off"}};
    const Error failed = source_.refusal_to_run(what);
    EXPECT_THAT(failed.message(), HasSubstr("the server did not start"));
    EXPECT_THAT(failed.message(), HasSubstr("shared memory"));
    EXPECT_THAT(failed.hint(), HasSubstr("--memory"));
    try {
        what.target = source_.new_place("restored");
        source_.run(what);
        FAIL() << "it started";
    } catch (const StartFailed& error) {
        EXPECT_THAT(error.log(), HasSubstr("FATAL"));
    }
    what.target = source_.new_place("restored");
    what.start->memory_bytes = 1u << 20;
    EXPECT_THAT(source_.refusal_to_run(what).message(), HasSubstr("no server runs in 1 MiB"));
}

// The blocks of a table in which anything was changed, one in a hundred.
std::uint64_t damage(const std::string& path) {
    const std::uint64_t blocks = fs::file_size(path) / 8192;
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    std::uint64_t damaged = 0;
    for (std::uint64_t block = 50; block < blocks; block += 100, ++damaged) {
        file.seekp(static_cast<std::streamoff>(block * 8192 + 1000));
        file << "this is not what was here";
    }
    return damaged;
}

TEST_P(RestoreStarts, InPlaceOnlyDamagedBlocksAreWritten) {
    PostgresRestore what = source_.restore_to();
    source_.restore(what);
    const std::string path =
        fmt::format("{}/{}", what.target, source_.server.query_value("SELECT pg_relation_filepath('t')"));
    const std::uint64_t damaged = damage(path);
    ASSERT_GT(damaged, 30U);
    EXPECT_THAT(source_.refusal(what).message(), HasSubstr("is not empty")) << "not without words";
    what.in_place = true;
    const PostgresRestoreResult again = source_.restore(what);
    const TreeRestoreResult& files = again.restored->files;
    RecordProperty("damaged_bytes", static_cast<int>(damaged * 8192));
    RecordProperty("written_bytes", static_cast<int>(files.written_bytes));
    RecordProperty("bytes", static_cast<int>(files.bytes));
    fmt::print("in place: {} bytes damaged, {} written of {}\n", damaged * 8192, files.written_bytes,
               files.bytes);
    EXPECT_LT(files.written_bytes, files.bytes / 10);
    const StartedCluster started = source_.start(again);
    const Instance instance(started);
    EXPECT_EQ(instance.value(rows), source_.digest);
    // It has gone on, on a timeline of its own, and is stopped in the middle.
    instance.execute("UPDATE public.t SET v = 'elsewhere' WHERE id < 300");
    instance.execute("CREATE TABLE public.elsewhere AS SELECT generate_series(1, 1000)");
    instance.execute("CHECKPOINT");
    EXPECT_THAT(source_.refusal(what).message(), HasSubstr("a server runs in"));
    fs::rename(what.target + "/postmaster.pid", what.target + "/moved");
    EXPECT_THAT(source_.refusal(what).message(), HasSubstr("a server runs in"))
        << "its processes are there without the file";
    fs::rename(what.target + "/moved", what.target + "/postmaster.pid");
}

TEST_P(RestoreStarts, InPlaceOfAClusterThatHasGoneOn) {
    PostgresRestore what = source_.restore_to();
    {
        const Instance instance(*source_.run(what).started);
        instance.execute("UPDATE public.t SET v = 'elsewhere' WHERE id < 300");
        instance.execute("CREATE TABLE public.elsewhere AS SELECT generate_series(1, 1000)");
        instance.execute("CHECKPOINT");
    }
    what.in_place = true;
    const PostgresRestoreResult again = source_.run(what);
    fmt::print("gone on: {} written of {}\n", again.restored->files.written_bytes,
               again.restored->files.bytes);
    EXPECT_LT(again.restored->files.written_bytes, again.restored->files.bytes / 4);
    const Instance instance(*again.started);
    EXPECT_EQ(instance.value(rows), source_.digest);
    EXPECT_EQ(instance.value("SELECT to_regclass('public.elsewhere')"), "");
}

INSTANTIATE_TEST_SUITE_P(Version, RestoreStarts, testing::ValuesIn(postgres_versions),
                         testing::PrintToStringParamName());

} // namespace
} // namespace holdfast::postgres
