// Options that would have no effect on what is named are refused by name, and nothing is done.
#include "support/holdfast_user.h"

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>
#include <gmock/gmock.h>

namespace holdfast::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class OptionKinds : public HoldfastUser {
  protected:
    // There is a repository with a snapshot, and a source whose server nobody can reach.
    OptionKinds() {
        write("a", "text");
        init();
        back_up();
        write("../holdfast.toml",
              fmt::format("[source.orders]\nkind = 'postgresql'\nconnection = 'host={}'\n",
                          scratch.file("no server")));
        options.environment["HOLDFAST_CONFIG"] = scratch.file("holdfast.toml");
        before_ = tree_listing();
    }

    // `words` and `more` are wrong usage, and the answer says why with `says`.
    void expect_refused(Words words, const Words& more, const std::string& says) {
        words.insert(words.end(), more.begin(), more.end());
        EXPECT_THAT(failure(words, 2), HasSubstr(says)) << fmt::format("{}", fmt::join(words, " "));
        EXPECT_EQ(tree_listing(), before_) << "something was changed";
    }

    std::string target() const { return scratch.file("target"); }

  private:
    // All files that a command could have made or changed, but what is cached.
    std::vector<std::string> tree_listing() const {
        std::vector<std::string> found;
        for (const auto& entry : std::filesystem::recursive_directory_iterator(scratch.path())) {
            if (entry.is_regular_file() && entry.path().string().find("/.cache/") == std::string::npos)
                found.push_back(fmt::format("{} {}", entry.path().string(), entry.file_size()));
            if (entry.path() == target()) found.push_back(target());
        }
        std::sort(found.begin(), found.end());
        return found;
    }

    std::vector<std::string> before_;
};

TEST_F(OptionKinds, ABackupOfASourceTakesNoOptionsForDocuments) {
    for (const Words& option : std::vector<Words>{{"--source", "other"},
                                                  {"--kind", "documents"},
                                                  {"--exclude", "*.o"},
                                                  {"--include", "*.o"},
                                                  {"--exclude-file", "/dev/null"},
                                                  {"--one-file-system"},
                                                  {"--exclude-caches"},
                                                  {"--read-everything"},
                                                  {"--ignore-inode"},
                                                  {"--ignore-ctime"},
                                                  {"--split-pages", "*.db"},
                                                  {"--split-content", "*.db"}}) {
        expect_refused({"backup", "orders"}, option,
                       option[0] + " is for documents, and 'orders' is a PostgreSQL source");
    }
    expect_refused({"backup", "orders"}, {"--type", "full", "--compare"},
                   "--type and --compare exclude each other");
    expect_refused({"backup", "orders"}, {source()}, "'orders' is a source of");
}

TEST_F(OptionKinds, ABackupOfDocumentsTakesNoOptionsForPostgresql) {
    for (const Words& option : std::vector<Words>{{"--type", "full"},
                                                  {"--wait-limit", "1m"},
                                                  {"--limit-read", "1M"},
                                                  {"--compare"},
                                                  {"--new-cluster"},
                                                  {"--spread-checkpoint"}}) {
        expect_refused({"backup", "--source", "home", source()}, option,
                       option[0] + " is for a PostgreSQL source");
    }
}

TEST_F(OptionKinds, ARestoreOfASourceTakesNoOptionsForDocuments) {
    for (const Words& option : std::vector<Words>{{"--source", "other"},
                                                  {"--path", "/a"},
                                                  {"--include", "*.o"},
                                                  {"--exclude", "*.o"},
                                                  {"--delete"},
                                                  {"--trust-times"},
                                                  {"--sync"},
                                                  {"--numeric-owner"},
                                                  {"--no-owner"},
                                                  {"--no-attributes"}}) {
        expect_refused({"restore", "orders", "--to", target()}, option,
                       option[0] + " is for documents, and 'orders' names a PostgreSQL source");
    }
    expect_refused({"restore", "orders", "--in-place", "--to", target()}, {"--delete", "--sync"},
                   "--delete and --sync are for documents");
}

TEST_F(OptionKinds, ARestoreOfDocumentsTakesNoOptionsForPostgresql) {
    for (const Words& option : std::vector<Words>{{"--at", "2026-11-21T10:00:00Z"},
                                                  {"--lsn", "0/3000000"},
                                                  {"--xid", "7"},
                                                  {"--restore-point", "here"},
                                                  {"--snapshot", "latest"},
                                                  {"--exclusive"},
                                                  {"--timeline", "1"},
                                                  {"--tablespace", "a=/b"},
                                                  {"--database", "a"},
                                                  {"--ladder"},
                                                  {"--restart-command", "true"},
                                                  {"--standby-of", "host=a"},
                                                  {"--action", "pause"},
                                                  {"--start"},
                                                  {"--port", "5433"},
                                                  {"--socket-directory", "/tmp"},
                                                  {"--listen", "localhost"},
                                                  {"--pg-bindir", "/usr/bin"},
                                                  {"--setting", "a=b"},
                                                  {"--memory", "1G"},
                                                  {"--processors", "1"},
                                                  {"--nice", "1"},
                                                  {"--protect-as", "other"},
                                                  {"--administrator", "host=a"},
                                                  {"--tag", "a=b"},
                                                  {"--expires", "1h"},
                                                  {"--then", "true"}}) {
        expect_refused({"restore", "latest", "--to", target()}, option,
                       option[0] + " is for a PostgreSQL source, and 'latest' is a snapshot");
    }
    EXPECT_THAT(failure({"restore", "latest", "--to", target(), "--start"}, 2),
                HasSubstr("holdfast restore SOURCE --to DIRECTORY"));
}

TEST_F(OptionKinds, WhatIsOfAServerNeedsOne) {
    for (const Words& option : std::vector<Words>{{"--port", "5433"},
                                                  {"--socket-directory", "/tmp"},
                                                  {"--listen", "localhost"},
                                                  {"--pg-bindir", "/usr/bin"},
                                                  {"--setting", "a=b"},
                                                  {"--memory", "1G"},
                                                  {"--processors", "1"},
                                                  {"--nice", "1"},
                                                  {"--protect-as", "other"},
                                                  {"--ladder"}}) {
        expect_refused({"restore", "orders", "--to", target()}, option,
                       option[0] + " has no effect without --start");
    }
}

TEST_F(OptionKinds, ARestoreGoesToOneMomentAndInOneWay) {
    const Words restore{"restore", "orders", "--to", target()};
    const Words at{"--at", "2026-11-21T10:00:00Z"};
    const std::vector<std::pair<Words, std::string>> wrong = {
        {{"--lsn", "0/3000000", "--xid", "7"}, "--lsn and --xid exclude each other"},
        {{at[0], at[1], "--restore-point", "here"}, "--at and --restore-point exclude each other"},
        {{at[0], at[1], "--lsn", "0/3000000", "--xid", "7"}, "--at, --lsn and --xid exclude each other"},
        {{"--exclusive"}, "--exclusive has no effect without --at, --lsn or --xid"},
        {{"--exclusive", "--restore-point", "here"}, "--exclusive has no effect without"},
        {{"--action", "pause"}, "--action has no effect without --at, --lsn, --xid, --restore-point or"},
        {{"--administrator", "host=a", "--start"}, "--administrator has no effect without --protect-as"},
        {{"--restart-command", "true", "--start"}, "--restart-command has no effect without --ladder"},
        {{"--database", "a", "--in-place"}, "--database and --in-place exclude each other"},
        {{"--database", "a", "--ladder", "--start"}, "--database and --ladder exclude each other"},
        {{"--standby-of", "host=a", at[0], at[1]}, "--standby-of and --at exclude each other"},
        {{"--standby-of", "host=a", "--start", "--ladder"}, "--standby-of and --ladder exclude each other"},
    };
    for (const auto& [given, says] : wrong) expect_refused(restore, given, says);
    // The same as JSON.
    Words both = restore;
    both.insert(both.end(), {"--lsn", "0/3000000", "--xid", "7"});
    EXPECT_EQ(json(both, 2)["error"]["code"], "usage");
}

TEST_F(OptionKinds, TheHelpTellsThemApart) {
    for (const char* command : {"backup", "restore"}) {
        EXPECT_THAT(run({command, "--help"}).out,
                    AllOf(HasSubstr("\nFor documents:\n"), HasSubstr("\nFor a PostgreSQL source:\n")));
    }
}

TEST_F(OptionKinds, ANameIsForAll) {
    EXPECT_EQ(json({"backup", "--source", "home", "--name", "before", source()})["tags"]["name"], "before");
}

} // namespace
} // namespace holdfast::test
