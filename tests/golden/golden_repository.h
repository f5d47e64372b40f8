// Repositories as they were once written, and what is known of them.
#pragma once

#include "base/file_descriptor.h"
#include "base/random.h"
#include "base/sha256.h"
#include "postgres/archive/wal_archive.h"
#include "repository/key_file.h"
#include "repository/repository.h"
#include "repository/unlock.h"
#include "store/file_store.h"
#include "support/scratch_directory.h"
#include "support/tree_listing.h"

#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string>

#include <fmt/format.h>

namespace holdfast::test {

namespace fs = std::filesystem;

inline const std::string golden = std::string(HOLDFAST_TEST_DATA) + "/golden/";
// Names of the source are in the snapshots, so it is the same for everybody.
inline const std::string tree_place = "/tmp/holdfast-golden";
constexpr std::string_view passphrase = "correct horse battery staple";

inline void write_file(const fs::path& file, std::string_view content) {
    fs::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary) << content;
}

// What a directory must hold, one line an entry. The directory itself may have any time.
inline std::string listing_of(const std::string& directory) {
    std::string text;
    for (const auto& [path, line] : list_tree(directory)) {
        if (path.empty()) continue;
        std::string printable;
        for (const char c : path) {
            printable += c >= ' ' && c < 127 ? std::string(1, c)
                                             : fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
        }
        text += fmt::format("{}: {}\n", printable, line);
    }
    return text;
}

inline std::string content_of(const std::string& file) {
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

// What an archive holds: what each slice says of itself, and the digest of its content.
inline std::string log_text(const postgres::WalArchive& archive) {
    std::string text;
    for (const LogSliceId& slice : archive.slices()) {
        const LogRange& range = slice.range;
        const postgres::WalDetails says = archive.details(slice);
        text += fmt::format("{}: {:x} to {:x}, PostgreSQL {}, system {}, segments of {}\n", range.branch,
                            range.begin, range.end, says.version, says.system_identifier, says.segment_bytes);
        text +=
            fmt::format("  records from {} to {}, the last at {}, {} commits from {} to {}, broken: '{}'\n",
                        says.records_from.str(), says.records_to.str(), says.last.str(), says.commits,
                        says.first_commit_us, says.last_commit_us, says.broken);
        if (!says.history.empty()) text += fmt::format("  history: {}\n", says.history);
        if (range.begin == range.end) continue;
        const LogReader::Whole whole = archive.reader().whole(slice);
        text += fmt::format("  content {}, summary {}\n", sha256_hex(whole.bytes), sha256_hex(whole.summary));
    }
    return text;
}

constexpr const char* policy_of_golden = R"({"sources": ["golden"], "time_zone": "Europe/Berlin",
    "backup": {"name": "nightly", "cron": "30 2 * * *"}, "retention": {"daily": 7, "yearly": "7y"}})";

// A directory of tests/golden: the store, the keys that open it, and what it must restore to.
class GoldenRepository {
  public:
    GoldenRepository(const std::string& directory, std::string store_directory)
        : number_(std::stoi(directory.substr(directory.rfind('-') + 1))),
          keys_(directory + "/keys/"),
          listing_(directory + "/listing-"),
          store_directory_(std::move(store_directory)) {}

    // What later ones have more.
    bool has_policies() const { return number_ >= 2; }
    bool has_whole_life() const { return number_ >= 3; }
    // Who may open it: label, and what with.
    std::map<std::string, Credential> credentials() const {
        std::map<std::string, Credential> all;
        all.emplace("owner", Credential::passphrase(Secret::copy_of(as_bytes(passphrase))));
        all.emplace("auditor", Credential::key_file(read_key_file(keys_ + "auditor")));
        all.emplace("agent", Credential::private_key(read_key_file(keys_ + "agent")));
        all.emplace("janitor", Credential::key_file(read_key_file(keys_ + "janitor")));
        all.emplace("recovery key", Credential::key_file(read_key_file(keys_ + "recovery")));
        return all;
    }
    // Of a slot that was removed.
    Credential leaver() const { return Credential::private_key(read_key_file(keys_ + "leaver")); }
    std::string key(const std::string& label) const { return keys_ + label; }
    std::string listing(const std::string& which) const { return listing_ + which + ".txt"; }
    // What the log of "orders" must be, as log_text() has it.
    std::string log_listing() const { return listing("log"); }

    std::shared_ptr<Store> store() const { return std::make_shared<FileStore>(store_directory_); }
    std::unique_ptr<Repository> open(const Credential& credential, const ScratchDirectory& scratch,
                                     Clock& clock, Random& random) const {
        const std::shared_ptr<Store> opened = store();
        return std::make_unique<Repository>(opened, unlock(*opened, credential),
                                            LocalDirectories{scratch.file("cache"), scratch.path().string()},
                                            clock, random, silent_logger());
    }

  private:
    int number_;
    std::string keys_, listing_, store_directory_;
};

} // namespace holdfast::test
