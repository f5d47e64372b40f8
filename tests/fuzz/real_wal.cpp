#include "fuzz/real_inputs.h"
#include "postgres/archive/wal_details.h"
#include "postgres/wal/block_changes.h"
#include "postgres/wal/wal_event.h"
#include "postgres/wal/wal_reader.h"
#include "support/wal_writer.h"

namespace holdfast {

namespace {

using namespace postgres;
using test::WalWriter;

constexpr Lsn begin{std::uint64_t{1} << 24};
constexpr RelationFile table{1663, 5, 16384};

Bytes zeros_but(std::initializer_list<std::uint32_t> numbers, std::size_t size) {
    ByteWriter out;
    for (const std::uint32_t number : numbers) out.u32(number);
    Bytes bytes = std::move(out).take();
    bytes.resize(size);
    return bytes;
}

// A record of each kind that has a meaning, and some that run across pages.
WalWriter log_of(int version) {
    using enum ResourceManager;
    WalWriter log(version, 1U << 20, begin);
    const auto add = [&](ResourceManager manager, std::uint8_t info, Bytes data) {
        log.add({manager, info, 700, std::move(data), {}});
    };
    log.add({heap,
             0x20,
             700,
             Bytes(14, 1),
             {{table, 3, Fork::main, Bytes(40, 2)}, {table, 9, Fork::main, {}, true}}});
    log.add({btree, 0x00, 700, Bytes(300, 1), {{table, 0, Fork::init, Bytes(4, 2), false, true}}});
    add(storage, 0x11, test::storage_create_data(table, Fork::main));
    add(storage, 0x21, test::storage_truncate_data(table, 5, 7));
    add(transaction, 0x80, test::transaction_end_data(1, {table, {1663, 5, 16390}}));
    add(transaction, 0x20, test::transaction_end_data(1, {}));
    add(database, 0x01, zeros_but({6, 1663, 1, 1663}, 16));
    add(database, version >= 15 ? 0x21 : 0x11, zeros_but({6, 1, 1663}, 12));
    if (version >= 15) add(database, 0x10, zeros_but({7, 1663}, 8));
    add(tablespace, 0x00, zeros_but({900, 0x72732f}, 8));
    add(relation_map, 0x00, zeros_but({5, 1663, 512}, 524));
    add(xlog, 0x10, zeros_but({0x1000028, 0, 1, 1, 1, 1}, 88));
    add(xlog, 0x60, zeros_but({100, 8, 10, 0, 64, 1}, 26));
    add(xlog, 0x70, zeros_but({0, 0, 0x656d616e}, 72));
    add(xlog, 0x80, Bytes(1));
    add(xlog, 0x90, zeros_but({0, 0, 2, 1, 1}, version >= 17 ? 20 : 16));
    add(xlog, 0xe0, zeros_but({1}, 4));
    return log;
}

void add_details(std::vector<RealInput>& inputs) {
    WalDetails details;
    details.system_identifier = 7'300'000'000'000'000'000;
    details.version = 15;
    details.segment_bytes = 16U << 20;
    const WalDetails undecoded = details;
    details.records_from = begin;
    details.records_to = details.last_commit_end = begin + 5000;
    details.previous = Lsn{begin.value - 100};
    details.last = begin + 4900;
    details.commits = 3;
    details.first_commit_us = 1'790'000'000'000'000;
    details.last_commit_us = details.first_commit_us + 2'000'000;
    details.restore_points = {{"before the move", begin + 700, details.first_commit_us},
                              {"", begin + 800, -1}};
    const WalDetails decoded = details;
    details.broken = "a record has a wrong checksum";
    const WalDetails broken = details;
    details = undecoded;
    details.history = "1\t0/5000098\tno recovery target specified\n";
    for (const auto& [name, made] : std::initializer_list<std::pair<const char*, const WalDetails&>>{
             {"not-decoded", undecoded}, {"decoded", decoded}, {"broken", broken}, {"history", details}})
        inputs.push_back({"wal_details", name, encode_wal_details(made)});
}

} // namespace

// Version, cuts and start as wal_fuzz.cpp reads them.
void add_wal(std::vector<RealInput>& inputs) {
    add_details(inputs);
    for (int version = oldest_wal_version; version <= newest_wal_version; ++version) {
        WalWriter log = log_of(version);
        const auto selector = static_cast<Byte>(version - oldest_wal_version);
        inputs.push_back(
            {"wal", "kinds-" + std::to_string(version), selected({selector, 6, 0}, log.bytes())});
        inputs.push_back(
            {"wal", "mended-" + std::to_string(version), selected({selector, 7, 0}, log.bytes())});
        BlockChanges changes(begin);
        WalReader reader({version, 1U << 20, 0, 1}, begin, [&](const WalRecord& record) {
            changes.add(record, wal_event::event_of(record, version));
        });
        reader.feed(log.bytes());
        inputs.push_back({"block_changes", "kinds-" + std::to_string(version), changes.encode()});
    }
    WalWriter log(15, 1U << 20, begin);
    log.add({ResourceManager::heap, 0, 1, Bytes(8000, 1), {}});
    log.add_overwritten({ResourceManager::heap, 0, 2, Bytes(9000, 2), {}});
    log.add({ResourceManager::heap, 0, 3, Bytes(20'000, 3), {}});
    log.bytes().resize(log.bytes().size() + 500);
    inputs.push_back({"wal", "across-pages", selected({2, 100, 0}, log.bytes())});
    inputs.push_back({"wal", "from-within", selected({2, 100, 5}, ByteView(log.bytes()).subspan(8192))});

    BlockSet scattered;
    for (BlockNumber block = 0; block < 3000; block += 7) scattered.add(block * block);
    BlockChanges changes(begin);
    std::vector<BlockReference> blocks;
    scattered.for_each_range([&](BlockNumber first, std::uint64_t) {
        blocks.push_back({.relation = table, .block = first, .fork = Fork::main, .image = {}, .data = {}});
    });
    WalRecord record;
    record.start = begin;
    record.end = begin + 64;
    record.blocks = blocks;
    changes.add(record, {});
    inputs.push_back({"block_changes", "scattered", changes.encode()});
    inputs.push_back(
        {"timeline_history", "two",
         selected({}, "1\t0/5000098\tno recovery target specified\n\n2\t0/7000000\tbefore 2026-11-21\n")});
}

} // namespace holdfast
