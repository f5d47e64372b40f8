#include "postgres/wal/wal_event.h"
#include "support/error_matchers.h"
#include "support/wal_writer.h"

#include <gtest/gtest.h>

namespace holdfast::postgres::wal_event {
namespace {

using test::code_of;

constexpr std::int64_t epoch_difference = 946'684'800'000'000;

// The event of a record with these data.
template <typename T>
T read(int version, ResourceManager manager, std::uint8_t info, const ByteWriter& data,
       TransactionId xid = 0) {
    WalRecord record;
    record.start = Lsn{0x1000028};
    record.resource_manager = static_cast<std::uint8_t>(manager);
    record.info = info;
    record.xid = xid;
    record.main_data = data.bytes();
    const Event event = event_of(record, version);
    const T* const found = std::get_if<T>(&event);
    if (found == nullptr) {
        ADD_FAILURE() << "another event: " << event.index();
        return {};
    }
    return *found;
}

void put(ByteWriter& out, const RelationFile& file) {
    out.u32(file.tablespace);
    out.u32(file.database);
    out.u32(file.number);
}

constexpr RelationFile table{1663, 5, 16384};
constexpr RelationFile other{1663, 5, 16390};

TEST(WalEvent, ACommitTellsTimeAndDroppedFiles) {
    for (int version = 13; version <= 18; ++version) {
        ByteWriter data;
        data.u64(1'000'000);
        data.u32(0x1 | 0x2 | 0x4 | 0x8 | (version >= 15 ? 0x100 : 0));
        data.u32(5); // database
        data.u32(1663);
        data.u32(2); // subtransactions
        data.u32(801);
        data.u32(802);
        data.u32(2); // files
        put(data, table);
        put(data, other);
        if (version >= 15) { // statistics
            data.u32(1);
            data.raw(Bytes(version >= 18 ? 16 : 12, 0xff));
        }
        data.u32(3); // invalidations
        data.raw(Bytes(3 * 16));
        const auto end = read<TransactionEnd>(version, ResourceManager::transaction, 0x80, data, 800);
        EXPECT_TRUE(end.committed && !end.prepared);
        EXPECT_EQ(end.xid, 800U);
        EXPECT_EQ(end.time, epoch_difference + 1'000'000);
        EXPECT_EQ(end.dropped, (std::vector{table, other}));
    }
}

TEST(WalEvent, SecondPhasesTellWhichTransactionEnded) {
    for (int version = 13; version <= 18; ++version)
        for (const bool commit : {true, false}) {
            ByteWriter data;
            data.u64(0);
            data.u32(0x4 | 0x10 | 0x80 | (version >= 15 ? 0x100 : 0));
            data.u32(1);
            put(data, table);
            if (version >= 15) {
                data.u32(2);
                data.raw(Bytes(version >= 18 ? 32 : 24, 0xff));
            }
            data.u32(900);
            data.raw(as_bytes("transfer 7"));
            data.u8(0);
            const auto end =
                read<TransactionEnd>(version, ResourceManager::transaction, commit ? 0xb0 : 0xc0, data);
            EXPECT_EQ(end.committed, commit);
            EXPECT_TRUE(end.prepared);
            EXPECT_EQ(end.xid, 900U);
            EXPECT_EQ(end.global_id, "transfer 7");
            EXPECT_EQ(end.dropped, std::vector{table});
        }
}

TEST(WalEvent, AShortCommitIsOnlyATime) {
    ByteWriter data;
    data.u64(static_cast<std::uint64_t>(-epoch_difference));
    const auto end = read<TransactionEnd>(15, ResourceManager::transaction, 0x00, data, 4);
    EXPECT_EQ(end.time, 0);
    EXPECT_TRUE(end.dropped.empty());
    EXPECT_FALSE(read<TransactionEnd>(15, ResourceManager::transaction, 0x20, data, 4).committed);
}

ByteWriter checkpoint_data(std::uint32_t level) {
    ByteWriter data;
    data.u64(0x2000028);
    data.u32(3);
    data.u32(2);
    data.u8(1);
    data.raw(Bytes(3));
    data.u32(level);
    data.u64(744);
    for (std::uint32_t i = 0; i < 7; ++i) data.u32(i);
    data.u32(0);
    data.u64(1'700'000'000);
    for (std::uint32_t i = 0; i < 4; ++i) data.u32(i);
    return data;
}

TEST(WalEvent, Checkpoints) {
    for (int version = 13; version <= 18; ++version) {
        const auto checkpoint = read<Checkpoint>(version, ResourceManager::xlog, 0x10, checkpoint_data(1));
        EXPECT_FALSE(checkpoint.shutdown);
        EXPECT_EQ(checkpoint.redo, Lsn{0x2000028});
        EXPECT_EQ(checkpoint.timeline, 3U);
        EXPECT_EQ(checkpoint.previous_timeline, 2U);
        EXPECT_TRUE(checkpoint.full_page_writes);
        EXPECT_EQ(checkpoint.time, 1'700'000'000'000'000);
        EXPECT_EQ(checkpoint.next_xid, 744U);
        EXPECT_EQ(checkpoint.wal_level.has_value(), version >= 17);
        EXPECT_TRUE(read<Checkpoint>(version, ResourceManager::xlog, 0x00, checkpoint_data(1)).shutdown);
    }
    EXPECT_EQ(read<Checkpoint>(17, ResourceManager::xlog, 0x00, checkpoint_data(0)).wal_level,
              WalLevel::minimal);
}

TEST(WalEvent, OtherRecordsOfTheLogItself) {
    ByteWriter level;
    level.u32(2);
    EXPECT_EQ(read<CheckpointRedo>(17, ResourceManager::xlog, 0xe0, level).wal_level, WalLevel::logical);
    ByteWriter point;
    point.u64(5);
    point.raw(as_bytes("before the upgrade"));
    point.raw(Bytes(64 - 18));
    const auto restore_point = read<RestorePoint>(13, ResourceManager::xlog, 0x70, point);
    EXPECT_EQ(restore_point.name, "before the upgrade");
    EXPECT_EQ(restore_point.time, epoch_difference + 5);
    ByteWriter parameters;
    for (const std::uint32_t value : {100U, 8U, 10U, 3U, 64U, 0U}) parameters.u32(value);
    parameters.u8(1);
    parameters.u8(0);
    const auto change = read<ParameterChange>(14, ResourceManager::xlog, 0x60, parameters);
    EXPECT_EQ(change.max_connections, 100);
    EXPECT_EQ(change.max_locks_per_transaction, 64);
    EXPECT_EQ(change.wal_level, WalLevel::minimal);
    EXPECT_TRUE(change.wal_log_hints);
    EXPECT_FALSE(change.track_commit_timestamp);
    ByteWriter off;
    off.u8(0);
    EXPECT_FALSE(read<FullPageWritesChange>(16, ResourceManager::xlog, 0x80, off).on);
    for (const int version : {16, 17}) {
        ByteWriter recovery;
        recovery.u64(7);
        recovery.u32(4);
        recovery.u32(3);
        if (version >= 17) recovery.u32(1);
        const auto end = read<EndOfRecovery>(version, ResourceManager::xlog, 0x90, recovery);
        EXPECT_EQ(end.timeline, 4U);
        EXPECT_EQ(end.previous_timeline, 3U);
        EXPECT_EQ(end.wal_level, version >= 17 ? std::optional(WalLevel::replica) : std::nullopt);
    }
    ByteWriter overwrite;
    overwrite.u64(0x3000000);
    overwrite.u64(9);
    EXPECT_EQ(read<OverwriteContinuation>(13, ResourceManager::xlog, 0xd0, overwrite).overwritten,
              Lsn{0x3000000});
    EXPECT_TRUE(read<FullPageImage>(18, ResourceManager::xlog, 0xa0, {}).for_hint);
    EXPECT_FALSE(read<FullPageImage>(18, ResourceManager::xlog, 0xb0, {}).for_hint);
    read<SegmentSwitch>(18, ResourceManager::xlog, 0x40, {});
    read<std::monostate>(16, ResourceManager::xlog, 0xe0, level);
}

TEST(WalEvent, FilesThatComeAndGo) {
    ByteWriter create;
    put(create, table);
    create.u32(3);
    EXPECT_EQ(read<StorageCreate>(18, ResourceManager::storage, 0x11, create).fork, Fork::init);
    ByteWriter truncate;
    truncate.u32(17);
    put(truncate, table);
    truncate.u32(0x5);
    const auto cut = read<StorageTruncate>(13, ResourceManager::storage, 0x21, truncate);
    EXPECT_EQ(cut.blocks, 17U);
    EXPECT_EQ(cut.relation, table);
    EXPECT_TRUE(cut.main && !cut.visibility && cut.free_space);
    ByteWriter map;
    map.u32(5);
    map.u32(1663);
    map.u32(512);
    map.raw(Bytes(512));
    EXPECT_EQ(read<RelationMapUpdate>(13, ResourceManager::relation_map, 0x00, map).tablespace, 1663U);
    ByteWriter space;
    space.u32(16500);
    space.raw(as_bytes("/srv/fast"));
    space.u8(0);
    EXPECT_EQ(read<TablespaceCreate>(13, ResourceManager::tablespace, 0x00, space).path, "/srv/fast");
    EXPECT_EQ(read<TablespaceDrop>(13, ResourceManager::tablespace, 0x10, space).tablespace, 16500U);
}

TEST(WalEvent, DatabasesWereNumberedAnewIn15) {
    ByteWriter data;
    for (const std::uint32_t value : {16400U, 1663U, 1U, 1663U}) data.u32(value);
    ByteWriter drop;
    for (const std::uint32_t value : {16400U, 2U, 1663U, 16500U}) drop.u32(value);
    for (int version = 13; version <= 18; ++version) {
        const auto copy = read<DatabaseCopy>(version, ResourceManager::database, 0x01, data);
        EXPECT_EQ(copy.database, 16400U);
        EXPECT_EQ(copy.from_database, 1U);
        const std::uint8_t drop_info = version >= 15 ? 0x21 : 0x11;
        const auto dropped = read<DatabaseDrop>(version, ResourceManager::database, drop_info, drop);
        EXPECT_EQ(dropped.database, 16400U);
        EXPECT_EQ(dropped.tablespaces, (std::vector<Oid>{1663, 16500}));
    }
    EXPECT_EQ(read<DatabaseCreate>(15, ResourceManager::database, 0x10, data).tablespace, 1663U);
}

TEST(WalEvent, WhatChangesFilesInUnknownWaysIsTold) {
    const auto unknown = [](std::uint8_t manager, std::uint8_t info) {
        WalRecord record;
        record.resource_manager = manager;
        record.info = info;
        return std::holds_alternative<UnknownFileChange>(event_of(record, 15));
    };
    constexpr auto heap = static_cast<std::uint8_t>(ResourceManager::heap);
    EXPECT_TRUE(unknown(130, 0x01));
    EXPECT_TRUE(unknown(heap, 0x01));
    EXPECT_FALSE(unknown(130, 0x10));
    EXPECT_FALSE(unknown(heap, 0x10));
}

TEST(WalEvent, DataThatEndTooEarlyAreCorrupt) {
    const auto fails = [](ResourceManager manager, std::uint8_t info, const ByteWriter& data) {
        return code_of([&] { read<std::monostate>(18, manager, info, data); });
    };
    ByteWriter few;
    few.u32(1);
    EXPECT_EQ(fails(ResourceManager::transaction, 0x00, few), "corrupt");
    EXPECT_EQ(fails(ResourceManager::xlog, 0x10, few), "corrupt");
    EXPECT_EQ(fails(ResourceManager::storage, 0x10, few), "corrupt");
    EXPECT_EQ(fails(ResourceManager::database, 0x20, few), "corrupt");
    EXPECT_EQ(fails(ResourceManager::tablespace, 0x00, few), "corrupt");
    ByteWriter many;
    many.u64(0);
    many.u32(4);
    many.u32(0x7fffffff);
    EXPECT_EQ(fails(ResourceManager::transaction, 0x80, many), "corrupt");
    ByteWriter negative;
    negative.u64(0);
    negative.u32(4);
    negative.u32(0xffffffff);
    EXPECT_EQ(fails(ResourceManager::transaction, 0x80, negative), "corrupt");
    ByteWriter level;
    level.u32(7);
    EXPECT_EQ(fails(ResourceManager::xlog, 0xe0, level), "corrupt");
}

} // namespace
} // namespace holdfast::postgres::wal_event
