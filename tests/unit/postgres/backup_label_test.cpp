#include "postgres/files/backup_label.h"
#include "postgres/files/tablespace_map.h"
#include "support/error_matchers.h"

#include <gtest/gtest.h>

namespace holdfast::postgres {
namespace {

using holdfast::test::code_of;
using holdfast::test::error_of;

constexpr std::string_view of_13 = "START WAL LOCATION: 0/2000028 (file 000000010000000000000002)\n"
                                   "CHECKPOINT LOCATION: 0/2000060\n"
                                   "BACKUP METHOD: pg_start_backup\n"
                                   "BACKUP FROM: master\n"
                                   "START TIME: 2026-11-21 10:15:47 UTC\n"
                                   "LABEL: l\n"
                                   "START TIMELINE: 1\n";
constexpr std::string_view of_17 = "START WAL LOCATION: A/B2000028 (file 0000000C0000000A000000B2)\n"
                                   "CHECKPOINT LOCATION: A/B2000080\n"
                                   "BACKUP METHOD: streamed\n"
                                   "BACKUP FROM: standby\n"
                                   "START TIME: 2026-11-21 10:15:47 CEST\n"
                                   "LABEL: the last: good one\n"
                                   "START TIMELINE: 12\n"
                                   "INCREMENTAL FROM LSN: A/10000028\n"
                                   "INCREMENTAL FROM TLI: 11\n";

std::string replaced(std::string_view text, std::string_view from, std::string_view to) {
    std::string result(text);
    const std::size_t at = result.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return result.replace(at, from.size(), to);
}

TEST(BackupLabel, IsReadAndWrittenTheSame) {
    const BackupLabel old = parse_backup_label(of_13);
    EXPECT_EQ(old.start, Lsn{0x2000028});
    EXPECT_EQ(old.start_file, "000000010000000000000002");
    EXPECT_EQ(old.checkpoint, Lsn{0x2000060});
    EXPECT_EQ(old.method, "pg_start_backup");
    EXPECT_EQ(old.from, "master");
    EXPECT_FALSE(old.from_standby());
    EXPECT_EQ(old.start_time, "2026-11-21 10:15:47 UTC");
    EXPECT_EQ(old.label, "l");
    EXPECT_EQ(old.timeline, 1U);
    EXPECT_FALSE(old.incremental);
    EXPECT_EQ(write_backup_label(old), of_13);

    const BackupLabel label = parse_backup_label(of_17);
    EXPECT_TRUE(label.from_standby());
    EXPECT_EQ(label.label, "the last: good one");
    EXPECT_EQ(label.timeline, 12U);
    ASSERT_TRUE(label.incremental);
    EXPECT_EQ(label.incremental->from, Lsn{0xA10000028});
    EXPECT_EQ(label.incremental->timeline, 11U);
    EXPECT_EQ(write_backup_label(label), of_17);
}

TEST(BackupLabel, EveryLineMustBeThere) {
    for (std::size_t line = 0; line < 7; ++line) {
        std::string text(of_13);
        std::size_t begin = 0;
        for (std::size_t i = 0; i < line; ++i) begin = text.find('\n', begin) + 1;
        text.erase(begin, text.find('\n', begin) + 1 - begin);
        EXPECT_EQ(code_of([&] { parse_backup_label(text); }), "corrupt") << text;
    }
    for (std::size_t size = 0; size < of_13.size(); ++size) {
        EXPECT_EQ(code_of([&] { parse_backup_label(of_13.substr(0, size)); }), "corrupt") << size;
    }
}

TEST(BackupLabel, RubbishIsRefusedAndNamed) {
    struct Case {
        const char* from;
        const char* to;
        const char* named;
    };
    for (const Case& bad :
         {Case{"0/2000028", "0-2000028", "START WAL LOCATION"},
          Case{" (file ", "(file ", "START WAL LOCATION"}, Case{"02)", "02", "START WAL LOCATION"},
          Case{"000000010000000000000002", "x", "START WAL LOCATION"},
          Case{"0/2000060", "", "CHECKPOINT LOCATION"}, Case{"pg_start_backup", "magic", "BACKUP METHOD"},
          Case{"master", "nowhere", "BACKUP FROM"}, Case{"TIMELINE: 1", "TIMELINE: 0", "START TIMELINE"},
          Case{"TIMELINE: 1", "TIMELINE: 1x", "START TIMELINE"},
          Case{"TIMELINE: 1", "TIMELINE: -1", "START TIMELINE"},
          Case{"LABEL: l", "LABEL: l\nINJECTED: 1", "START TIMELINE"}, Case{"LABEL: l", "LABEL", "LABEL"},
          Case{"TIMELINE: 1\n", "TIMELINE: 1\n\n", "INCREMENTAL FROM LSN"},
          Case{"TIMELINE: 1\n", "TIMELINE: 1\nSTOP TIME: now\n", "INCREMENTAL FROM LSN"}}) {
        const auto error = error_of([&] { parse_backup_label(replaced(of_13, bad.from, bad.to)); });
        EXPECT_EQ(error->code(), ErrorCode::corrupt);
        EXPECT_NE(error->message().find(bad.named), std::string::npos) << error->message();
    }
    EXPECT_EQ(code_of([&] { parse_backup_label(std::string(of_17) + "MORE: 1\n"); }), "corrupt");
    EXPECT_EQ(code_of([&] { parse_backup_label(replaced(of_17, "INCREMENTAL FROM TLI: 11\n", "")); }),
              "corrupt");
}

TEST(BackupLabel, ALabelIsOneLine) {
    BackupLabel label = parse_backup_label(of_13);
    for (const char* text : {"a\nSTART TIMELINE: 9", "a\r", "\n"}) {
        label.label = text;
        EXPECT_EQ(code_of([&] { write_backup_label(label); }), "usage");
    }
}

const std::vector<TablespaceLocation> simple{{16384, "/srv/a"}, {4294967295, "/with space/and more"}};
constexpr std::string_view simple_text = "16384 /srv/a\n4294967295 /with space/and more\n";

TEST(TablespaceMap, IsReadAndWritten) {
    for (int version = 13; version <= 18; ++version) {
        EXPECT_EQ(write_tablespace_map(simple, version), simple_text);
        EXPECT_EQ(parse_tablespace_map(simple_text, version), simple);
        EXPECT_TRUE(parse_tablespace_map("", version).empty());
        EXPECT_EQ(write_tablespace_map({}, version), "");
    }
}

// As real servers of these versions wrote it.
TEST(TablespaceMap, BackslashesAreEscapedFrom14) {
    const std::vector<TablespaceLocation> odd{{16384, "/ts\na\\b c"}};
    EXPECT_EQ(write_tablespace_map(odd, 13), "16384 /ts\\\na\\b c\n");
    EXPECT_EQ(parse_tablespace_map("16384 /ts\\\na\\b c\n", 13), odd);
    for (int version = 14; version <= 18; ++version) {
        EXPECT_EQ(write_tablespace_map(odd, version), "16384 /ts\\\na\\\\b c\n");
        EXPECT_EQ(parse_tablespace_map("16384 /ts\\\na\\\\b c\n", version), odd);
    }
}

TEST(TablespaceMap, OddPathsAreReadBack) {
    for (int version = 13; version <= 18; ++version) {
        for (const char* path :
             {"/", "/a\nb", "/a\rb\n\n", "/a\\b", "/\\\\x", "/a b ", "/\xff\xfe", "/a\\\rb", "/a\\"}) {
            const std::vector<TablespaceLocation> odd{{5, path}, {6, "/b"}};
            const bool has_form =
                version > 13 || (std::string_view(path) != "/a\\\rb" && std::string_view(path) != "/a\\");
            if (has_form) {
                EXPECT_EQ(parse_tablespace_map(write_tablespace_map(odd, version), version), odd) << path;
            } else {
                EXPECT_EQ(code_of([&] { write_tablespace_map(odd, version); }), "usage") << path;
            }
        }
    }
}

TEST(TablespaceMap, RubbishIsRefused) {
    for (int version = 13; version <= 18; ++version) {
        for (const char* text :
             {"\n", "16384\n", "16384 \n", " /a\n", "x /a\n", "0 /a\n", "-1 /a\n", "4294967296 /a\n",
              "1x /a\n", "1 a\n", "1 /a", "1 /a\\\n", "1 /a\n1 /b\n", "1 /a\n\n", "1  /a\n", "1 /a\n2"}) {
            EXPECT_EQ(code_of([&] { parse_tablespace_map(text, version); }), "corrupt") << text;
        }
        const std::vector<TablespaceLocation> relative{{1, "a"}};
        EXPECT_EQ(code_of([&] { write_tablespace_map(relative, version); }), "usage");
        const std::vector<TablespaceLocation> nul{{1, std::string("/a\0b", 4)}};
        EXPECT_EQ(code_of([&] { write_tablespace_map(nul, version); }), "usage");
    }
}

} // namespace
} // namespace holdfast::postgres
