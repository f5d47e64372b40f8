#include "postgres/wal/wal_event.h"

#include "base/error.h"
#include "base/little_endian.h"

#include <algorithm>

#include <fmt/format.h>

namespace holdfast::postgres::wal_event {

namespace {

// Reads a record's main data from front to back; what is not there makes the record corrupt.
class Fields {
  public:
    explicit Fields(const WalRecord& record) : record_(record), rest_(record.main_data) {}

    template <typename T>
    T take() {
        const T value = load_little<T>(skip(sizeof(T)).data());
        return value;
    }
    ByteView skip(std::uint64_t bytes) {
        if (bytes > rest_.size()) fail("ends too early");
        const ByteView taken = rest_.first(static_cast<std::size_t>(bytes));
        rest_ = rest_.subspan(taken.size());
        return taken;
    }
    // A number of things of `each` bytes that follow it.
    std::size_t take_count(std::size_t each) {
        const auto count = take<std::int32_t>();
        if (count < 0 || static_cast<std::uint64_t>(count) * each > rest_.size())
            fail("counts more than it has");
        return static_cast<std::size_t>(count);
    }
    bool take_bool() { return take<std::uint8_t>() != 0; }
    UnixMicroseconds take_time() {
        constexpr std::uint64_t epoch_difference = 946'684'800ULL * 1'000'000;
        return static_cast<std::int64_t>(take<std::uint64_t>() + epoch_difference);
    }
    WalLevel take_level() {
        const auto level = take<std::int32_t>();
        if (level < 0 || level > static_cast<std::int32_t>(WalLevel::logical)) fail("names no wal_level");
        return static_cast<WalLevel>(level);
    }
    RelationFile take_relation() {
        RelationFile file;
        file.tablespace = take<Oid>();
        file.database = take<Oid>();
        file.number = take<Oid>();
        return file;
    }
    // Up to a zero byte, which is taken too.
    std::string take_text() {
        const auto zero = std::ranges::find(rest_, Byte{0});
        if (zero == rest_.end()) fail("has a text without end");
        const auto size = static_cast<std::size_t>(zero - rest_.begin());
        std::string text(as_text(rest_.first(size)));
        rest_ = rest_.subspan(size + 1);
        return text;
    }
    std::size_t remaining() const { return rest_.size(); }
    [[noreturn]] void fail(std::string_view why) const {
        throw Error(ErrorCode::corrupt,
                    fmt::format("the log record at {} (resource manager {}, info {:02X}) {}",
                                record_.start.str(), record_.resource_manager, record_.info, why));
    }

  private:
    const WalRecord& record_;
    ByteView rest_;
};

Checkpoint read_checkpoint(Fields& fields, bool shutdown, int version) {
    Checkpoint checkpoint;
    checkpoint.shutdown = shutdown;
    checkpoint.redo = Lsn{fields.take<std::uint64_t>()};
    checkpoint.timeline = fields.take<TimelineId>();
    checkpoint.previous_timeline = fields.take<TimelineId>();
    checkpoint.full_page_writes = fields.take_bool();
    fields.skip(3);
    // Before 17 these four bytes are padding.
    if (version >= 17)
        checkpoint.wal_level = fields.take_level();
    else
        fields.skip(4);
    checkpoint.next_xid = fields.take<std::uint64_t>();
    // Next OID, multixact and its offset, oldest transaction and multixact with their databases (7 * 4),
    // padding (4).
    fields.skip(7 * 4 + 4);
    checkpoint.time = static_cast<std::int64_t>(fields.take<std::uint64_t>() * 1'000'000);
    return checkpoint;
}

ParameterChange read_parameter_change(Fields& fields) {
    ParameterChange change;
    change.max_connections = fields.take<std::int32_t>();
    change.max_worker_processes = fields.take<std::int32_t>();
    change.max_wal_senders = fields.take<std::int32_t>();
    change.max_prepared_transactions = fields.take<std::int32_t>();
    change.max_locks_per_transaction = fields.take<std::int32_t>();
    change.wal_level = fields.take_level();
    change.wal_log_hints = fields.take_bool();
    change.track_commit_timestamp = fields.take_bool();
    return change;
}

RestorePoint read_restore_point(Fields& fields) {
    RestorePoint point;
    point.time = fields.take_time();
    point.name = fields.take_text();
    return point;
}

EndOfRecovery read_end_of_recovery(Fields& fields, int version) {
    EndOfRecovery end;
    end.time = fields.take_time();
    end.timeline = fields.take<TimelineId>();
    end.previous_timeline = fields.take<TimelineId>();
    if (version >= 17) end.wal_level = fields.take_level();
    return end;
}

Event xlog_event(const WalRecord& record, int version) {
    Fields fields(record);
    switch (record.operation()) {
    case 0x00:
        return read_checkpoint(fields, true, version);
    case 0x10:
        return read_checkpoint(fields, false, version);
    case 0x40:
        return SegmentSwitch{};
    case 0x50:
        return BackupEnd{Lsn{fields.take<std::uint64_t>()}};
    case 0x60:
        return read_parameter_change(fields);
    case 0x70:
        return read_restore_point(fields);
    case 0x80:
        return FullPageWritesChange{fields.take_bool()};
    case 0x90:
        return read_end_of_recovery(fields, version);
    case 0xa0:
        return FullPageImage{true};
    case 0xb0:
        return FullPageImage{false};
    case 0xd0: {
        OverwriteContinuation overwrite;
        overwrite.overwritten = Lsn{fields.take<std::uint64_t>()};
        overwrite.time = fields.take_time();
        return overwrite;
    }
    case 0xe0:
        if (version >= 17) return CheckpointRedo{fields.take_level()};
        return std::monostate{};
    default:
        return std::monostate{};
    }
}

// The optional parts of a transaction's end, in the order in which they follow each other.
enum TransactionInfo : std::uint32_t {
    has_database = 1U << 0,
    has_subtransactions = 1U << 1,
    has_relations = 1U << 2,
    has_invalidations = 1U << 3,
    has_two_phase = 1U << 4,
    has_global_id = 1U << 7,
    has_dropped_statistics = 1U << 8,
};

TransactionEnd read_transaction_end(const WalRecord& record, bool committed, bool prepared, int version) {
    constexpr std::uint8_t has_info = 0x80;
    Fields fields(record);
    TransactionEnd end;
    end.committed = committed;
    end.prepared = prepared;
    end.xid = record.xid;
    end.time = fields.take_time();
    const std::uint32_t info = (record.info & has_info) != 0 ? fields.take<std::uint32_t>() : 0;
    if ((info & has_database) != 0) fields.skip(8);
    if ((info & has_subtransactions) != 0)
        fields.skip(fields.take_count(sizeof(TransactionId)) * sizeof(TransactionId));
    if ((info & has_relations) != 0) {
        const std::size_t count = fields.take_count(sizeof(RelationFile));
        end.dropped.reserve(count);
        for (std::size_t i = 0; i < count; ++i) end.dropped.push_back(fields.take_relation());
    }
    if (version >= 15 && (info & has_dropped_statistics) != 0) {
        const std::size_t each = version >= 18 ? 16 : 12;
        fields.skip(fields.take_count(each) * each);
    }
    if (committed && (info & has_invalidations) != 0) fields.skip(fields.take_count(16) * 16);
    if ((info & has_two_phase) != 0) {
        end.xid = fields.take<TransactionId>();
        if ((info & has_global_id) != 0) end.global_id = fields.take_text();
    }
    return end;
}

Event transaction_event(const WalRecord& record, int version) {
    switch (record.operation() & 0x70) {
    case 0x00:
        return read_transaction_end(record, true, false, version);
    case 0x20:
        return read_transaction_end(record, false, false, version);
    case 0x30:
        return read_transaction_end(record, true, true, version);
    case 0x40:
        return read_transaction_end(record, false, true, version);
    default:
        return std::monostate{};
    }
}

Event storage_event(const WalRecord& record) {
    Fields fields(record);
    if (record.operation() == 0x10) {
        StorageCreate create;
        create.relation = fields.take_relation();
        const auto fork = fields.take<std::uint32_t>();
        if (fork > static_cast<std::uint32_t>(Fork::init)) fields.fail("names no fork");
        create.fork = static_cast<Fork>(fork);
        return create;
    }
    if (record.operation() == 0x20) {
        StorageTruncate truncate;
        truncate.blocks = fields.take<BlockNumber>();
        truncate.relation = fields.take_relation();
        const auto flags = fields.take<std::uint32_t>();
        truncate.main = (flags & 1) != 0;
        truncate.visibility = (flags & 2) != 0;
        truncate.free_space = (flags & 4) != 0;
        return truncate;
    }
    return std::monostate{};
}

Event database_event(const WalRecord& record, int version) {
    Fields fields(record);
    const std::uint8_t drop = version >= 15 ? 0x20 : 0x10;
    if (record.operation() == 0x00) {
        DatabaseCopy copy;
        copy.database = fields.take<Oid>();
        copy.tablespace = fields.take<Oid>();
        copy.from_database = fields.take<Oid>();
        copy.from_tablespace = fields.take<Oid>();
        return copy;
    }
    if (record.operation() == drop) {
        DatabaseDrop dropped;
        dropped.database = fields.take<Oid>();
        const std::size_t count = fields.take_count(sizeof(Oid));
        for (std::size_t i = 0; i < count; ++i) dropped.tablespaces.push_back(fields.take<Oid>());
        return dropped;
    }
    if (version >= 15 && record.operation() == 0x10) {
        DatabaseCreate create;
        create.database = fields.take<Oid>();
        create.tablespace = fields.take<Oid>();
        return create;
    }
    return std::monostate{};
}

Event tablespace_event(const WalRecord& record) {
    Fields fields(record);
    if (record.operation() == 0x00) {
        TablespaceCreate create;
        create.tablespace = fields.take<Oid>();
        create.path = fields.take_text();
        return create;
    }
    if (record.operation() == 0x10) return TablespaceDrop{fields.take<Oid>()};
    return std::monostate{};
}

Event relation_map_event(const WalRecord& record) {
    if (record.operation() != 0x00) return std::monostate{};
    Fields fields(record);
    RelationMapUpdate update;
    update.database = fields.take<Oid>();
    update.tablespace = fields.take<Oid>();
    return update;
}

Event event_of_known(const WalRecord& record, int version) {
    switch (static_cast<ResourceManager>(record.resource_manager)) {
    case ResourceManager::xlog:
        return xlog_event(record, version);
    case ResourceManager::transaction:
        return transaction_event(record, version);
    case ResourceManager::storage:
        return storage_event(record);
    case ResourceManager::database:
        return database_event(record, version);
    case ResourceManager::tablespace:
        return tablespace_event(record);
    case ResourceManager::relation_map:
        return relation_map_event(record);
    default:
        return std::monostate{};
    }
}

} // namespace

Event event_of(const WalRecord& record, int version) {
    Event event = event_of_known(record, version);
    if (std::holds_alternative<std::monostate>(event) && record.changes_files_otherwise())
        return UnknownFileChange{};
    return event;
}

Event event_or_unknown(const WalRecord& record, int version, std::string* refused) {
    try {
        return event_of(record, version);
    } catch (const Error& error) {
        if (error.code() != ErrorCode::corrupt) throw;
        if (refused != nullptr) *refused = error.message();
        return UnknownFileChange{};
    }
}

} // namespace holdfast::postgres::wal_event
