// Which command is allowed to which role: the table of the manual, tried.
#include "support/holdfast_user.h"

#include <filesystem>
#include <set>

#include <fmt/format.h>
#include <gmock/gmock.h>

namespace holdfast::test {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;
using testing::AnyOf;

// F full, R read, W write, P prune; in small letters: in part, which ends with 3. What the words mean is
// filled in for each try: SNAPSHOT is one that the administrator made, SPARE another, SLOT a slot to remove,
// NEW a file that does not exist.
struct Row {
    std::string allowed;
    std::vector<std::string> words;
};

const std::vector<Row> table = {
    {"FRWP", {"snapshots"}},
    {"F", {"key", "list"}},
    {"FRP", {"ls", "SNAPSHOT"}},
    {"FRP", {"find", "*", "--snapshot", "SNAPSHOT"}},
    {"FRP", {"diff", "SNAPSHOT", "SPARE"}},
    {"FRWP", {"stats"}},
    {"FRwP", {"verify"}},
    {"FRwP", {"verify", "--read-data"}},
    {"FRP", {"verify", "--record"}},
    {"FR", {"cat", "SNAPSHOT", "FILE"}},
    {"FR", {"restore", "SNAPSHOT", "--to", "NEW"}},
    {"FW", {"backup", "--source", "SOURCE", "TREE"}},
    {"FP", {"forget", "SPARE"}},
    {"FP", {"prune", "--dry-run"}},
    {"FP", {"prune", "--patience-hours", "0"}},
    {"FwP", {"repair", "index"}},
    {"F", {"key", "add", "--label", "NEW-LABEL", "--role", "read", "--new-key-file", "NEW"}},
    {"F", {"key", "remove", "SLOT"}},
    {"F", {"key", "rotate"}},
};

class Roles : public HoldfastUser {
  protected:
    Roles() {
        init();
        write("file", "the secret of the house");
        settle();
        snapshot_ = back_up()["id"];
    }

    RunOptions holder(const std::string& role) {
        const std::string key = scratch.file(role + ".key");
        json({"key", "add", "--label", role, "--role", role, "--domain", "default", "--new-key-file", key});
        fs::create_directory(scratch.file(role + " home"));
        RunOptions as = options;
        as.environment["HOLDFAST_KEY_FILE"] = key;
        as.environment["HOME"] = scratch.file(role + " home");
        return as;
    }

    // What a row is about, made by the administrator just before.
    Words filled_in(const Words& words) {
        ++tries_;
        const std::string spare = back_up()["id"];
        const std::string slot = fmt::format("slot-{}", tries_);
        json({"key", "add", "--label", slot, "--role", "read", "--new-key-file", scratch.file(slot)});
        const std::map<std::string, std::string> meanings = {
            {"SNAPSHOT", snapshot_},
            {"SPARE", spare},
            {"SLOT", slot},
            {"FILE", place("file")},
            {"TREE", source()},
            {"SOURCE", fmt::format("source-{}", tries_)},
            {"NEW", scratch.file(fmt::format("new-{}", tries_))},
            {"NEW-LABEL", fmt::format("new-{}", tries_)},
        };
        Words result;
        for (const std::string& word : words) {
            const auto meaning = meanings.find(word);
            result.push_back(meaning == meanings.end() ? word : meaning->second);
        }
        return result;
    }

    std::set<std::string> stored() const {
        std::set<std::string> names;
        for (const auto& entry : fs::recursive_directory_iterator(repository())) {
            if (entry.is_regular_file()) names.insert(entry.path());
        }
        return names;
    }

    std::string snapshot_;
    unsigned tries_ = 0;
};

TEST_F(Roles, MayDoWhatTheTableSaysAndNothingElse) {
    for (const std::string role : {"full", "read", "write", "prune"}) {
        const RunOptions as = holder(role);
        const char letter = static_cast<char>(role[0] - 'a' + 'A');
        for (const Row& row : table) {
            const Words words = filled_in(row.words);
            SCOPED_TRACE(fmt::format("{}: {}", role, fmt::join(row.words, " ")));
            const std::set<std::string> before = stored();
            const ProgramRun tried = run(words, as);
            if (row.allowed.find(letter) != std::string::npos) {
                EXPECT_EQ(tried.exit_code, 0) << tried.out << tried.error;
                continue;
            }
            EXPECT_EQ(tried.out.find("the secret"), std::string::npos);
            if (row.allowed.find(role[0]) != std::string::npos) {
                EXPECT_EQ(tried.exit_code, 3) << tried.out << tried.error;
                continue;
            }
            // A snapshot that cannot be read is not there for who names it, which is wrong usage.
            EXPECT_THAT(tried.exit_code, AnyOf(1, 2)) << tried.out;
            EXPECT_NE(tried.error, "");
            // What was refused has left nothing behind: no object, and no file that was to be made.
            EXPECT_EQ(stored(), before);
            for (const std::string& word : words) {
                if (word.starts_with(scratch.file("new-"))) {
                    EXPECT_FALSE(fs::exists(word)) << word;
                }
            }
        }
    }
    EXPECT_EQ(json({"verify", "--read-data"})["intact"], true);
    EXPECT_EQ(run({"cat", snapshot_, place("file")}).out, "the secret of the house");
}

} // namespace
} // namespace holdfast::test
