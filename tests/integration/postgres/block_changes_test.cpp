// What a change map says, against the files of real servers: every block that it calls unchanged is, byte for
// byte, what it was. With checksums even hint bits are logged, so there are no exceptions.
#include "base/crc32c.h"
#include "postgres/wal/block_changes.h"
#include "postgres/wal/wal_event.h"
#include "support/varied_workload.h"
#include "support/wal_directory.h"

#include <charconv>
#include <map>
#include <set>

#include <fmt/format.h>
#include <gtest/gtest.h>

using namespace holdfast;
using namespace holdfast::postgres;
using namespace holdfast::test;

namespace fs = std::filesystem;

namespace {

constexpr std::size_t block_bytes = 8192;

struct ForkFile {
    RelationFile relation;
    Fork fork = Fork::main;
    std::uint32_t segment = 0;

    auto operator<=>(const ForkFile&) const = default;
};

// What a file name like "16384", "16384_init" or "16384.1" stands for; empty for the forks that no map
// describes and for all that is no relation.
std::optional<ForkFile> parse_file(std::string name, Oid tablespace, Oid database) {
    ForkFile file{{tablespace, database, 0}, Fork::main, 0};
    const auto number = [](std::string_view digits, std::uint32_t& value) {
        const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
        return error == std::errc() && end == digits.data() + digits.size() && !digits.empty();
    };
    if (const std::size_t dot = name.find('.'); dot != std::string::npos) {
        if (!number(std::string_view(name).substr(dot + 1), file.segment)) return std::nullopt;
        name.resize(dot);
    }
    if (name.ends_with("_init")) {
        file.fork = Fork::init;
        name.resize(name.size() - 5);
    }
    if (!number(name, file.relation.number)) return std::nullopt;
    return file;
}

using Checksums = std::map<ForkFile, std::vector<std::uint32_t>>; // of each block

void add_directory(Checksums& files, const fs::path& directory, Oid tablespace, Oid database) {
    for (const auto& entry : fs::directory_iterator(directory)) {
        const auto file = parse_file(entry.path().filename(), tablespace, database);
        if (!file) continue;
        const Bytes bytes = read_whole_file(entry.path());
        std::vector<std::uint32_t>& blocks = files[*file];
        for (std::size_t at = 0; at < bytes.size(); at += block_bytes)
            blocks.push_back(
                crc32c(0, ByteView(bytes).subspan(at, std::min(block_bytes, bytes.size() - at))));
    }
}

// All main and init forks of a stopped server.
Checksums checksums(const PostgresServer& server) {
    Checksums files;
    const fs::path data = server.data_directory();
    const auto add_databases = [&](const fs::path& directory, Oid tablespace) {
        for (const auto& entry : fs::directory_iterator(directory))
            add_directory(files, entry, tablespace, static_cast<Oid>(std::stoul(entry.path().filename())));
    };
    add_directory(files, data / "global", 1664, 0);
    add_databases(data / "base", 1663);
    for (const auto& space : fs::directory_iterator(data / "pg_tblspc"))
        for (const auto& version : fs::directory_iterator(space))
            add_databases(version, static_cast<Oid>(std::stoul(space.path().filename())));
    return files;
}

// The last record of a stopped server's log: its shutdown checkpoint, at which replay would start.
Lsn end_of_log(const PostgresServer& server) {
    return read_wal_directory(server.data_directory(), 1, [](const WalRecord&) {}).last_start;
}

BlockChanges changes_between(const PostgresServer& server, Lsn from, Lsn to, std::size_t memory_max) {
    BlockChanges changes(from, memory_max);
    read_wal_directory(server.data_directory(), 1, [&](const WalRecord& record) {
        if (record.start >= from && record.start < to)
            changes.add(record, wal_event::event_of(record, server.version()));
    });
    return changes;
}

struct Counts {
    std::uint64_t blocks = 0;
    std::uint64_t unchanged = 0; // the same as before
    std::uint64_t known = 0;     // and the map says so
};

Counts expect_true(const BlockChanges& changes, const Checksums& before, const Checksums& after) {
    Counts counts;
    for (const auto& [file, blocks] : after) {
        // Main forks of unlogged relations are nobody's concern.
        if (file.fork == Fork::main && after.contains({file.relation, Fork::init, 0})) continue;
        const auto then = before.find(file);
        const auto fork = changes.of_fork(file.relation, file.fork);
        for (std::size_t i = 0; i < blocks.size(); ++i) {
            const auto block =
                static_cast<BlockNumber>(i + file.segment * ((std::size_t{1} << 30) / block_bytes));
            const bool same = then != before.end() && i < then->second.size() && then->second[i] == blocks[i];
            const bool was_there = then != before.end() && i < then->second.size();
            const bool known = was_there && fork.unchanged(block);
            ++counts.blocks;
            counts.unchanged += same ? 1U : 0U;
            counts.known += known ? 1U : 0U;
            if (known && !same)
                ADD_FAILURE() << fmt::format(
                    "{}/{}/{} fork {} block {} of {} changed, and the map does not know",
                    file.relation.tablespace, file.relation.database, file.relation.number,
                    static_cast<int>(file.fork), block, blocks.size());
        }
    }
    return counts;
}

} // namespace

class BlockChangesOf : public testing::TestWithParam<int> {};

INSTANTIATE_TEST_SUITE_P(Versions, BlockChangesOf, testing::ValuesIn(postgres_versions));

TEST_P(BlockChangesOf, AreTrueOfFiles) {
    PostgresServer server(
        {.version = GetParam(),
         .settings = std::string(varied_workload_settings) + "wal_keep_size = 4GB\nmax_wal_size = 64MB\n"});
    run_varied_workload(server, 1);
    server.stop();
    Checksums before = checksums(server);
    const Checksums first = before;
    Lsn from = end_of_log(server);
    const Lsn first_from = from;
    BlockChanges all(from);
    for (int round = 2; round <= 5; ++round) {
        server.start();
        // The first round only reads and touches little, so that most of a database stays as it is.
        if (round == 2) {
            server.execute("UPDATE many SET d = 1 WHERE id % 1000 = 1");
            server.execute("SELECT count(*) FROM many");
        } else {
            run_varied_workload(server, round);
        }
        // A crash in between, for the log that recovery writes.
        if (round == 4) server.restart(PostgresStop::kill);
        server.stop();
        const Checksums after = checksums(server);
        const Lsn to = end_of_log(server);
        const BlockChanges changes = changes_between(server, from, to, BlockChanges::memory_max_default);
        const Counts counts = expect_true(changes, before, after);
        // A crash may leave the first half of a record, which recovery says it writes over. Then nothing is
        // concluded from this log.
        const bool half_a_record = round == 4 && changes.doubt(Doubt::overwritten_record);
        EXPECT_EQ(changes.usable(), !half_a_record);
        if (round == 2) {
            EXPECT_GT(counts.known, counts.blocks * 8 / 10) << "a map that knows nothing is of no use";
            EXPECT_GE(counts.known * 10, counts.unchanged * 9);
        }
        const Bytes encoded = changes.encode();
        all.append(BlockChanges::decode(encoded));
        fmt::print("{} round {}: {} blocks, {} the same, {} known to be; {} forks in {} bytes\n", GetParam(),
                   round, counts.blocks, counts.unchanged, counts.known, changes.forks(), encoded.size());
        before = after;
        from = to;
    }
    // All rounds as one, at once and joined, and with hardly any memory.
    EXPECT_EQ(changes_between(server, first_from, from, BlockChanges::memory_max_default).encode(),
              all.encode());
    expect_true(all, first, before);
    expect_true(changes_between(server, first_from, from, 30'000), first, before);
}
