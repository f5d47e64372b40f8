#include "catalog/audit.h"
#include "catalog/catalog.h"
#include "catalog/damaged_file.h"
#include "catalog/migrations.h"
#include "integration/catalog/catalog_fixture.h"
#include "support/error_matchers.h"

#include <array>
#include <filesystem>
#include <fstream>
#include <thread>

#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

namespace holdfast {
namespace {

using test::expect_error;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class CatalogBase : public test::CatalogTest {};
HOLDFAST_BOTH_DATABASES(CatalogBase);

TEST_P(CatalogBase, KeepsNumbersTextsAndNulls) {
    catalog->with([](Database& database) {
        database.execute("CREATE TABLE things (a TEXT, b BIGINT)");
        database.query(
            "INSERT INTO things VALUES ($1, $2), ($3, $4)",
            {sql("t\u00e4xt'; --"), sql(std::int64_t{-9'223'372'036'854'775'807}), SqlValue(), SqlValue()});
        const auto rows = database.query("SELECT a, b FROM things ORDER BY b NULLS LAST");
        ASSERT_THAT(rows, SizeIs(2));
        EXPECT_EQ(rows[0].text(0), "t\u00e4xt'; --");
        EXPECT_EQ(rows[0].number(1), -9'223'372'036'854'775'807);
        EXPECT_TRUE(rows[1].is_null(0));
        EXPECT_EQ(rows[1].optional_number(1), std::nullopt);
        expect_error(ErrorCode::internal, [&] { rows[0].number(0); }, "another type");
        expect_error(ErrorCode::internal, [&] { rows[1].text(0); }, "another type");
        expect_error(ErrorCode::internal, [&] { rows[0].text(7); }, "another type");
        const Timestamp time = from_rfc3339("2026-11-20T12:00:00.123456789Z");
        EXPECT_EQ(database.query("SELECT CAST($1 AS BIGINT)", {sql(time)})[0].time(0), time);
    });
}

TEST_P(CatalogBase, ATransactionIsWholeOrNotAtAll) {
    catalog->with([](Database& database) { database.execute("CREATE TABLE things (a BIGINT)"); });
    expect_error(ErrorCode::io, [&] {
        catalog->transaction([](Database& database) {
            database.query("INSERT INTO things VALUES ($1)", {sql(std::int64_t{1})});
            throw Error(ErrorCode::io, "on the way");
        });
    });
    const auto count = [&] {
        return catalog->with(
            [](Database& database) { return single_number(database.query("SELECT count(*) FROM things")); });
    };
    EXPECT_EQ(count(), 0);
    catalog->transaction(
        [](Database& database) { database.query("INSERT INTO things VALUES ($1)", {sql(std::int64_t{1})}); });
    EXPECT_EQ(count(), 1);
}

TEST_P(CatalogBase, AStatementThatFailedUnnoticedFailsItsTransaction) {
    catalog->with([](Database& database) { database.execute("CREATE TABLE things (a BIGINT PRIMARY KEY)"); });
    const auto twice = [&] {
        catalog->transaction([](Database& database) {
            database.query("INSERT INTO things VALUES ($1)", {sql(std::int64_t{1})});
            EXPECT_THROW(database.query("INSERT INTO things VALUES ($1)", {sql(std::int64_t{1})}), Error);
        });
    };
    // SQLite goes on behind a statement that failed, PostgreSQL cannot: it must not look as if it had.
    const auto count = [&] {
        return catalog->with(
            [](Database& database) { return single_number(database.query("SELECT count(*) FROM things")); });
    };
    if (GetParam() == "sqlite") {
        twice();
        EXPECT_EQ(count(), 1);
    } else {
        expect_error(ErrorCode::internal, twice, "unnoticed");
        EXPECT_EQ(count(), 0);
    }
}

TEST_P(CatalogBase, AWrongStatementIsTold) {
    const auto error = test::error_of(
        [&] { catalog->with([](Database& database) { database.query("SELECT thing FROM nowhere"); }); });
    ASSERT_TRUE(error);
    EXPECT_FALSE(error->retryable());
    EXPECT_THAT(error->message(), HasSubstr("nowhere"));
}

TEST_P(CatalogBase, OpensAgainAsItWas) {
    Audit(*catalog, clock).append("somebody", "test", "thing");
    catalog = nullptr;
    Catalog again(url, silent_logger());
    EXPECT_EQ(Audit(again, clock).head().number, 1);
}

TEST_P(CatalogBase, ManyOpenItTogether) {
    std::vector<std::jthread> threads;
    std::atomic<int> opened{0};
    for (int i = 0; i < 8; ++i) {
        threads.emplace_back([&] {
            Catalog another(url, silent_logger());
            ++opened;
        });
    }
    threads.clear();
    EXPECT_EQ(opened, 8);
}

TEST_P(CatalogBase, ANewerOneIsRefused) {
    catalog->with([](Database& database) {
        database.query("UPDATE catalog_version SET version = $1", {sql(catalog_version() + 1)});
    });
    expect_error(ErrorCode::incompatible, [&] { Catalog(url, silent_logger()); }, "this program knows");
}

class AuditTest : public test::CatalogTest {
  protected:
    Audit audit{*catalog, clock};
    void change(const char* statement) {
        catalog->with([&](Database& database) { database.execute(statement); });
    }
    void fill() {
        for (int i = 0; i < 5; ++i) {
            clock.advance(std::chrono::seconds(1));
            audit.append("anna", "snapshot.forget", fmt::format("snapshot-{}", i), R"({"why": "retention"})");
        }
    }
};
HOLDFAST_BOTH_DATABASES(AuditTest);

TEST_P(AuditTest, IsReadInOrder) {
    EXPECT_EQ(audit.head(), AuditHead{});
    EXPECT_THAT(audit.verify().problems, IsEmpty());
    fill();
    std::vector<std::string> objects;
    audit.read(2, [&](const AuditEntry& entry) {
        objects.push_back(entry.object);
        return objects.size() < 3;
    });
    EXPECT_THAT(objects, ElementsAre("snapshot-1", "snapshot-2", "snapshot-3"));
    const AuditCheck check = audit.verify({audit.head()});
    EXPECT_EQ(check.entries, 5);
    EXPECT_EQ(check.head, audit.head());
    EXPECT_THAT(check.problems, IsEmpty());
}

TEST_P(AuditTest, WhatWasChangedIsFound) {
    fill();
    for (const char* statement : {"UPDATE audit SET actor = 'bert' WHERE number = 3",
                                  "UPDATE audit SET details = '{}' WHERE number = 3",
                                  "UPDATE audit SET time = time + 1 WHERE number = 3",
                                  "UPDATE audit SET object = '' WHERE number = 3"}) {
        change("CREATE TABLE saved AS SELECT * FROM audit");
        change(statement);
        EXPECT_THAT(audit.verify().problems, ElementsAre(HasSubstr("entry 3 of 2026-11-20T12:00:03")))
            << statement;
        change("DELETE FROM audit");
        change("INSERT INTO audit SELECT * FROM saved");
        change("DROP TABLE saved");
    }
    EXPECT_THAT(audit.verify().problems, IsEmpty());
}

TEST_P(AuditTest, WhatWasTakenAwayIsFound) {
    fill();
    const AuditHead head = audit.head();
    change("DELETE FROM audit WHERE number = 2");
    EXPECT_THAT(audit.verify().problems, ElementsAre(HasSubstr("entry 3 follows entry 1")));
    // The end is found by who has seen it.
    change("DELETE FROM audit WHERE number > 1");
    EXPECT_THAT(audit.verify().problems, IsEmpty());
    EXPECT_THAT(audit.verify({head}).problems,
                ElementsAre(HasSubstr("ends with entry 1, and entry 5 was seen")));
    // A trail that was written anew, too.
    change("DELETE FROM audit");
    fill();
    EXPECT_THAT(audit.verify().problems, IsEmpty());
    EXPECT_THAT(audit.verify({head}).problems, ElementsAre(HasSubstr("entry 5 is another one")));
}

TEST_P(AuditTest, ManyWritersMakeOneChain) {
    {
        std::vector<std::jthread> threads;
        for (int i = 0; i < 4; ++i) {
            threads.emplace_back([&, i] {
                Catalog own(url, silent_logger());
                Audit writer(own, clock);
                for (int k = 0; k < 25; ++k)
                    writer.append(fmt::format("writer {}", i), "test", std::to_string(k));
            });
        }
    }
    const AuditCheck check = audit.verify();
    EXPECT_EQ(check.entries, 100);
    EXPECT_THAT(check.problems, IsEmpty());
}

// Of SQLite alone.

TEST(SqliteCatalog, IsForItsOwnerAlone) {
    const test::ScratchDirectory scratch;
    const Catalog catalog("sqlite:" + scratch.file("catalog.db"), silent_logger());
    using std::filesystem::perms;
    EXPECT_EQ(std::filesystem::status(scratch.file("catalog.db")).permissions(),
              perms::owner_read | perms::owner_write);
    EXPECT_EQ(std::filesystem::status(scratch.file("catalog.db-wal")).permissions(),
              perms::owner_read | perms::owner_write);
}

// Another program over the same catalog: begun before this one has it open, because SQLite must not be
// carried into a child.
class Elsewhere {
  public:
    explicit Elsewhere(const std::string& url) {
        if (::pipe(ask_.data()) != 0 || ::pipe(answer_.data()) != 0) throw std::runtime_error("no pipe");
        child_ = ::fork();
        if (child_ != 0) return;
        ::close(ask_[1]);
        for (char count = 0; ::read(ask_[0], &count, 1) == 1;) {
            Catalog catalog(url, silent_logger());
            count = static_cast<char>(Audit(catalog, system_clock()).head().number);
            if (::write(answer_[1], &count, 1) != 1) break;
        }
        ::_exit(0);
    }
    ~Elsewhere() {
        for (const int end : {ask_[0], ask_[1], answer_[0], answer_[1]}) ::close(end);
        ::waitpid(child_, nullptr, 0);
    }
    Elsewhere(const Elsewhere&) = delete;
    Elsewhere& operator=(const Elsewhere&) = delete;

    // Opens the catalog, looks how many entries its trail has, and closes it.
    int entries() {
        char count = 0;
        EXPECT_EQ(::write(ask_[1], &count, 1), 1);
        EXPECT_EQ(::read(answer_[0], &count, 1), 1);
        return count;
    }

  private:
    std::array<int, 2> ask_{}, answer_{};
    pid_t child_ = -1;
};

// A command beside a server: what one has written, the other sees.
TEST(SqliteCatalog, AnotherProcessMayOpenAndCloseItMeanwhile) {
    const test::ScratchDirectory scratch;
    const std::string url = "sqlite:" + scratch.file("catalog.db");
    Elsewhere elsewhere(url);
    Catalog catalog(url, silent_logger());
    // Two sessions at once.
    catalog.with([&](Database& database) {
        catalog.with([](Database& second) { second.query("SELECT count(*) FROM audit"); });
        database.query("SELECT count(*) FROM audit");
    });
    Audit audit(catalog, system_clock());
    for (int i = 1; i <= 3; ++i) {
        audit.append("anna", "test", "something", "{}");
        EXPECT_EQ(elsewhere.entries(), i);
        EXPECT_EQ(elsewhere.entries(), i);
        EXPECT_TRUE(std::filesystem::exists(scratch.file("catalog.db-wal"))) << "it is in use";
    }
}

TEST(SqliteCatalog, ADamagedFileIsTold) {
    const test::ScratchDirectory scratch;
    std::ofstream(scratch.file("catalog.db")) << std::string(8192, 'x');
    expect_error(
        ErrorCode::corrupt, [&] { Catalog("sqlite:" + scratch.file("catalog.db"), silent_logger()); },
        "catalog.db");
    expect_error(ErrorCode::not_found,
                 [&] { Catalog("sqlite:" + scratch.file("nowhere/catalog.db"), silent_logger()); });
}

TEST(SqliteCatalog, ADamagedFileMakesRoomAndAWholeOneDoesNot) {
    const test::ScratchDirectory scratch;
    const std::string file = scratch.file("catalog.db"), url = "sqlite:" + file;
    FakeClock clock{from_rfc3339("2026-11-20T12:00:00Z")};
    EXPECT_FALSE(set_aside_when_damaged(url, scratch.path().string(), clock));
    EXPECT_FALSE(std::filesystem::exists(file));
    {
        Catalog catalog(url, silent_logger());
        Audit(catalog, clock).append("anna", "test", "something", "{}");
    }
    EXPECT_FALSE(set_aside_when_damaged(url, scratch.path().string(), clock));
    {
        Catalog catalog(url, silent_logger());
        EXPECT_FALSE(catalog.gone());
        std::fstream disk(file, std::ios::binary | std::ios::in | std::ios::out);
        disk.seekp(4096); // behind its first page
        for (auto left = std::filesystem::file_size(file) - 4096; left > 0; --left) disk.put('\x5A');
        disk.close();
        expect_error(ErrorCode::corrupt, [&] { Audit(catalog, clock).head(); }, "catalog.db");
        EXPECT_TRUE(catalog.gone());
    }
    const auto aside = set_aside_when_damaged(url, scratch.path().string(), clock);
    ASSERT_TRUE(aside);
    EXPECT_EQ(*aside, file + ".damaged-2026-11-20T12:00:00Z");
    EXPECT_GT(std::filesystem::file_size(*aside), 4096U);
    for (const char* suffix : {"", "-wal", "-shm"}) EXPECT_FALSE(std::filesystem::exists(file + suffix));
    Catalog anew(url, silent_logger());
    EXPECT_FALSE(anew.gone());
    EXPECT_EQ(Audit(anew, clock).head().number, 0);
}

// As a crash leaves it that comes while a damaged file is renamed.
TEST(SqliteCatalog, ALogWithoutItsFileIsNotTakenUp) {
    const test::ScratchDirectory scratch;
    const std::string file = scratch.file("catalog.db"), url = "sqlite:" + file, log = file + "-wal";
    FakeClock clock{from_rfc3339("2026-11-20T12:00:00Z")};
    {
        Catalog catalog(url, silent_logger());
        Audit(catalog, clock).append("anna", "test", "something", "{}");
        std::filesystem::copy_file(log, scratch.file("kept"));
    }
    ASSERT_GT(std::filesystem::file_size(scratch.file("kept")), 0U);
    std::filesystem::remove(file);
    std::filesystem::rename(scratch.file("kept"), log);
    EXPECT_FALSE(set_aside_when_damaged(url, scratch.path().string(), clock));
    Catalog anew(url, silent_logger());
    EXPECT_EQ(Audit(anew, clock).head().number, 0);
    Audit(anew, clock).append("anna", "test", "something", "{}");
    EXPECT_TRUE(Audit(anew, clock).verify().problems.empty());
}

// A name that was mistyped names somebody's letters.
TEST(SqliteCatalog, AFileThatIsNoCatalogIsLeftToWhoOwnsItButInOurOwnDirectory) {
    const test::ScratchDirectory scratch;
    const std::string file = scratch.file("letters"), url = "sqlite:" + file;
    FakeClock clock{from_rfc3339("2026-11-20T12:00:00Z")};
    std::ofstream(file) << std::string(8192, 'x');
    std::filesystem::create_directory(scratch.file("own"));
    EXPECT_FALSE(set_aside_when_damaged(url, scratch.file("own"), clock));
    EXPECT_TRUE(std::filesystem::exists(file));
    // In a folder below it as little.
    EXPECT_FALSE(set_aside_when_damaged(url, scratch.path().parent_path().string(), clock));
    // What begins as ours do was one.
    std::fstream(file, std::ios::binary | std::ios::in | std::ios::out)
        << std::string("SQLite format 3\0", 16);
    EXPECT_EQ(set_aside_when_damaged(url, scratch.file("own"), clock),
              file + ".damaged-2026-11-20T12:00:00Z");
    std::ofstream(file) << std::string(8192, 'x');
    clock.advance(std::chrono::seconds(1));
    EXPECT_EQ(set_aside_when_damaged(url, scratch.path().string() + "/", clock),
              file + ".damaged-2026-11-20T12:00:01Z");
    EXPECT_FALSE(std::filesystem::exists(file));
}

// Of PostgreSQL alone.

TEST(PostgresCatalog, ASessionThatWasEndedIsNotUsedAgain) {
    test::PostgresServer server;
    Catalog catalog(server.conninfo(), silent_logger());
    FakeClock clock{from_rfc3339("2026-11-20T12:00:00Z")};
    Audit audit(catalog, clock);
    audit.append("a", "test", "1");
    server.stop(test::PostgresStop::immediate);
    const auto gone = test::error_of([&] { audit.append("a", "test", "2"); });
    ASSERT_TRUE(gone);
    EXPECT_EQ(gone->code(), ErrorCode::unavailable) << gone->message();
    EXPECT_TRUE(gone->retryable());
    server.start();
    audit.append("a", "test", "2");
    EXPECT_EQ(audit.head().number, 2);
}

} // namespace
} // namespace holdfast
