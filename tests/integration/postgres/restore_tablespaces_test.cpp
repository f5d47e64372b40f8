// A recovery that replays CREATE TABLESPACE: beside the running original, whose directory it must not touch.
#include "base/error.h"
#include "integration/postgres/data_directory.h"
#include "support/protected_source.h"

#include <filesystem>
#include <map>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast::postgres {
namespace {

namespace fs = std::filesystem;
using holdfast::test::Instance;
using holdfast::test::postgres_versions;
using holdfast::test::shared_cluster;
using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr const char* rows_of_late = "SELECT count(*) || ' ' || sum(i) FROM public.late";

// A snapshot; then a tablespace with a table, one that came and went, and rows that are in no snapshot.
class Source : public holdfast::test::ProtectedCluster {
  public:
    explicit Source(int version) : ProtectedCluster(version), place(server.make_directory("late")) {
        server.execute("CREATE TABLE early AS SELECT generate_series(1, 100) AS i");
        snapshot = back_up();
        server.execute("INSERT INTO early VALUES (101)");
        before = *parse_lsn(server.query_value("SELECT pg_current_wal_insert_lsn()"));
        server.execute("CREATE TABLESPACE late LOCATION '" + place + "'");
        server.execute("CREATE TABLE late TABLESPACE late AS SELECT generate_series(1, 1000) AS i");
        const std::string gone = server.make_directory("gone");
        server.execute("CREATE TABLESPACE gone LOCATION '" + gone + "'");
        server.execute("DROP TABLESPACE gone");
        fs::remove(gone);
        server.execute("CHECKPOINT"); // what is in the directory are the original's own files
        push();
        oid = server.query_value("SELECT oid FROM pg_tablespace WHERE spcname = 'late'");
    } // Everything below the tablespace's directory, with its content.
    std::map<std::string, std::string> files() const {
        std::map<std::string, std::string> all;
        for (const auto& entry : fs::recursive_directory_iterator(place))
            if (entry.is_regular_file()) all[entry.path()] = test::text_of_file(entry.path());
        return all;
    }

    const std::string place;
    std::string oid;
    Snapshot snapshot;
    Lsn before; // the tablespace is made behind it
};

class RestoreMakesTablespaces : public testing::TestWithParam<int> {
  protected:
    Source& source_ = shared_cluster<Source>(GetParam());
};

TEST_P(RestoreMakesTablespaces, APlaceInUseIsRefusedWithTheWaysOut) {
    const Error refused = source_.refusal_to_run(source_.restore_to());
    EXPECT_EQ(refused.code(), ErrorCode::usage);
    EXPECT_THAT(refused.message(), HasSubstr("the log makes tablespace " + source_.oid));
    EXPECT_THAT(refused.message(), HasSubstr(source_.place));
    EXPECT_THAT(refused.hint(), HasSubstr("--tablespace " + source_.oid + "=DIRECTORY"));
    // The one that is offered leads to a cluster without it.
    const std::string mark = "--lsn ";
    const std::size_t at = refused.hint().find(mark);
    ASSERT_NE(at, std::string::npos) << refused.hint();
    const auto lsn = parse_lsn(refused.hint().substr(
        at + mark.size(), refused.hint().find(' ', at + mark.size()) - at - mark.size()));
    ASSERT_TRUE(lsn) << refused.hint();
    EXPECT_GE(*lsn, source_.before);
    const auto kept = source_.files();
    const Instance instance(*source_.run(source_.restore_to(RecoverToLsn{*lsn}, false)).started);
    EXPECT_EQ(instance.value("SELECT count(*) FROM public.early"), "101");
    EXPECT_EQ(instance.value("SELECT count(*) FROM pg_tablespace WHERE spcname = 'late'"), "0");
    EXPECT_EQ(source_.files(), kept);
}

TEST_P(RestoreMakesTablespaces, AnotherPlaceIsUsedAndTheOriginalStaysAsItIs) {
    const auto kept = source_.files();
    ASSERT_FALSE(kept.empty());
    PostgresRestore what = source_.restore_to();
    const std::string other = source_.new_place("o");
    what.tablespaces = {{source_.oid, other}};
    const PostgresRestoreResult result = source_.run(what);
    const Instance instance(*result.started);
    EXPECT_EQ(instance.value(rows_of_late), "1000 500500");
    EXPECT_EQ(instance.value("SELECT pg_tablespace_location(" + source_.oid + ")"), other);
    EXPECT_THAT(result.notes, Contains(HasSubstr("the log makes tablespace " + source_.oid)));
    instance.execute("DROP TABLE public.late");
    instance.execute("DROP TABLESPACE late");
    EXPECT_EQ(source_.files(), kept);
    EXPECT_EQ(source_.server.query_value(rows_of_late), "1000 500500");
    EXPECT_FALSE(fs::exists(log_changes_path(what.target)));
}

TEST_P(RestoreMakesTablespaces, PlacesThatCannotBeAreRefused) {
    const auto with_place = [&](const std::string& tablespace, const std::string& place) {
        PostgresRestore what = source_.restore_to();
        what.tablespaces = {{tablespace, place}};
        return source_.refusal(what);
    };
    EXPECT_THAT(with_place(source_.oid, source_.place).message(), HasSubstr("in use"));
    EXPECT_THAT(with_place(source_.oid, "relative").message(), HasSubstr("not absolute"));
    const Error long_one = with_place(source_.oid, source_.place + "/longer");
    EXPECT_THAT(long_one.message(), HasSubstr("no room"));
    EXPECT_THAT(with_place("1", "/tmp/x").message(), HasSubstr("has no tablespace '1'"));
}

// Another one may take the place of what a restore was to bring back, once it is in the archive.
TEST_P(RestoreMakesTablespaces, LogThatCameLaterIsNotReplayed) {
    PostgresRestore what = source_.restore_to();
    what.tablespaces = {{source_.oid, source_.new_place("o")}};
    const PostgresRestoreResult result = source_.restore(what);
    source_.server.execute("INSERT INTO early VALUES (102)");
    source_.push();
    const Instance instance(source_.start(result));
    EXPECT_EQ(instance.value("SELECT count(*) FROM public.early"), "101");
    EXPECT_EQ(instance.value(rows_of_late), "1000 500500");
    source_.server.execute("DELETE FROM early WHERE i = 102");
}

INSTANTIATE_TEST_SUITE_P(Version, RestoreMakesTablespaces, testing::ValuesIn(postgres_versions),
                         testing::PrintToStringParamName());

} // namespace
} // namespace holdfast::postgres
