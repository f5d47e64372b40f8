#include "postgres/server/base_backup_stream.h"

#include "postgres/server/libpq_result.h"
#include "postgres/server/row.h"

#include <algorithm>
#include <optional>

#include <fmt/format.h>
#include <libpq-fe.h>

namespace holdfast::postgres {

namespace {

constexpr int one_copy_since = 150000;
constexpr std::uint32_t slowest_kib = 32, fastest_kib = 1u << 20;

// As replication commands take texts.
std::string quoted(std::string_view text) {
    std::string out = "'";
    for (const char c : text) {
        if (c == '\'') out += '\'';
        out += c;
    }
    return out + "'";
}

std::string file_name_of(const BackupArchive& archive) {
    return archive.tablespace_oid == 0 ? "base.tar" : fmt::format("{}.tar", archive.tablespace_oid);
}

class BaseBackup {
  public:
    BaseBackup(Connection& connection, const BaseBackupOptions& options, BaseBackupVisitor& visitor,
               std::stop_token stop)
        : connection_(&connection),
          options_(&options),
          visitor_(&visitor),
          stop_(std::move(stop)),
          wake_(stop_) {}

    BaseBackupEnd run(const std::string& command) {
        if (PQsendQuery(connection_->handle(), command.c_str()) == 0)
            connection_->fail(connection_->place(), nullptr);
        set_deadline();
        connection_->flush(wake_);
        take_start();
        deadline_.reset();
        if (connection_->server_version() >= one_copy_since) {
            take_one_copy();
        } else {
            for (const BackupArchive& archive : start_.archives) take_copy_of(archive);
        }
        set_deadline();
        return take_finish();
    }
    // Lets the server end it too, which else finds out when it next sends.
    void give_up() { connection_->ask_to_cancel(); }

  private:
    struct FreeBuffer {
        void operator()(char* buffer) const { PQfreemem(buffer); }
    };

    void set_deadline() {
        if (options_->limit > Duration{})
            deadline_ = std::chrono::steady_clock::now() +
                        std::chrono::duration_cast<std::chrono::steady_clock::duration>(options_->limit);
    }

    Connection::Result next_result() {
        try {
            return connection_->next_result(wake_, deadline_);
        } catch (const Error& error) {
            if (error.code() == ErrorCode::timed_out && options_->past_limit) options_->past_limit();
            throw;
        }
    }

    // The next result, which must be of `wanted` kind.
    Connection::Result expect(ExecStatusType wanted) {
        Connection::Result result = ahead_ ? std::move(ahead_) : next_result();
        if (!result || PQresultStatus(result.get()) != wanted) {
            if (result && PQresultStatus(result.get()) == PGRES_FATAL_ERROR)
                connection_->fail(connection_->place(), result.get());
            throw Error(
                ErrorCode::incompatible,
                fmt::format("{}: the server answers a base backup in an unknown way", connection_->place()));
        }
        return result;
    }

    struct Position {
        Lsn lsn;
        TimelineId timeline;
    };
    Position take_position() {
        const QueryResult answer = rows_of(expect(PGRES_TUPLES_OK).get());
        const Row row = only_row(answer);
        return {row.lsn("recptr").value_or(Lsn{}), row.number<TimelineId>("tli")};
    }

    void take_start() {
        const Position position = take_position();
        start_.start = position.lsn;
        start_.timeline = position.timeline;
        const QueryResult places = rows_of(expect(PGRES_TUPLES_OK).get());
        for (std::size_t i = 0; i < places.rows.size(); ++i) {
            const Row row(places, i);
            start_.archives.push_back({row.optional_number<std::uint32_t>("spcoid").value_or(0),
                                       row.text_or_empty("spclocation"),
                                       row.optional_number<std::uint64_t>("size").value_or(0) << 10});
        }
        visitor_->started(start_);
    }

    // The next piece of a copy; nothing at its end.
    std::optional<ByteView> next_piece() {
        for (;;) {
            if (stop_.stop_requested()) throw Error(ErrorCode::cancelled, connection_->place() + ": stopped");
            char* buffer = nullptr;
            const int size = PQgetCopyData(connection_->handle(), &buffer, 1);
            if (size == -1) return std::nullopt;
            if (size < -1) connection_->fail(connection_->place(), nullptr);
            if (size > 0) {
                buffer_.reset(buffer);
                return ByteView(reinterpret_cast<const Byte*>(buffer), static_cast<std::size_t>(size));
            }
            if (wake_.wait(PQsocket(connection_->handle()), true, false, {}) == SocketState::stopped)
                throw Error(ErrorCode::cancelled, connection_->place() + ": stopped");
            if (PQconsumeInput(connection_->handle()) == 0) connection_->fail(connection_->place(), nullptr);
        }
    }

    void begin(const BackupArchive& archive) {
        reader_.emplace(*visitor_);
        visitor_->begin_archive(archive);
        ++archives_begun_;
    }

    void end() {
        if (!reader_) return;
        reader_->finish();
        reader_.reset();
        visitor_->end_archive();
    }

    void take_copy_of(const BackupArchive& archive) {
        expect(PGRES_COPY_OUT);
        begin(archive);
        while (const auto piece = next_piece()) reader_->take(*piece);
        look_for_error();
        end();
    }

    void take_one_copy() {
        expect(PGRES_COPY_OUT);
        while (const auto piece = next_piece()) take_lettered(*piece);
        look_for_error();
        end();
    }

    // The end of a copy may be that of the whole, by an error, which only the next result tells: it must be
    // known before the archive counts as complete.
    void look_for_error() {
        set_deadline();
        ahead_ = next_result();
        deadline_.reset();
        if (ahead_ && PQresultStatus(ahead_.get()) == PGRES_FATAL_ERROR)
            connection_->fail(connection_->place(), ahead_.get());
    }

    void take_lettered(ByteView piece) {
        switch (piece[0]) {
        case 'n': { // a new archive: its file name and the place of its tablespace, each ended by a zero byte
            end();
            if (archives_begun_ == start_.archives.size()) fail_archives();
            const BackupArchive& archive = start_.archives[archives_begun_];
            const std::string_view name = as_text(piece.subspan(1));
            if (name.substr(0, name.find('\0')) != file_name_of(archive)) fail_archives();
            begin(archive);
            return;
        }
        case 'd':
            if (!reader_) fail_archives();
            reader_->take(piece.subspan(1));
            return;
        case 'p': // progress, which the archives tell themselves
            return;
        default:
            throw Error(ErrorCode::incompatible, fmt::format("{}: an unknown message {:#x} in a base backup",
                                                             connection_->place(), piece[0]));
        }
    }

    [[noreturn]] void fail_archives() const {
        throw Error(
            ErrorCode::incompatible,
            fmt::format("{}: the server sends other archives than it announced", connection_->place()));
    }

    BaseBackupEnd take_finish() {
        if (archives_begun_ != start_.archives.size()) fail_archives();
        const Position position = take_position();
        expect(PGRES_COMMAND_OK);
        while (const Connection::Result result = next_result()) {
            if (PQresultStatus(result.get()) == PGRES_FATAL_ERROR)
                connection_->fail(connection_->place(), result.get());
        }
        return {position.lsn, position.timeline};
    }

    Connection* connection_;
    const BaseBackupOptions* options_;
    BaseBackupVisitor* visitor_;
    std::stop_token stop_;
    StopWake wake_;
    Deadline deadline_; // of beginning and ending
    BaseBackupStart start_;
    std::size_t archives_begun_ = 0;
    std::optional<TarReader> reader_;
    Connection::Result ahead_; // a result that was taken but not looked at
    std::unique_ptr<char, FreeBuffer> buffer_;
};

} // namespace

std::string base_backup_command(int server_version, const BaseBackupOptions& options) {
    if (options.max_rate_kib != 0 &&
        (options.max_rate_kib < slowest_kib || options.max_rate_kib > fastest_kib)) {
        throw Error(ErrorCode::usage,
                    fmt::format("a rate of {} KiB a second is out of bounds", options.max_rate_kib),
                    fmt::format("{} to {} KiB a second can be asked for", slowest_kib, fastest_kib));
    }
    const std::string label = quoted(options.label);
    if (server_version >= one_copy_since) {
        return fmt::format(
            "BASE_BACKUP (LABEL {}, PROGRESS true, CHECKPOINT '{}', WAIT false, TABLESPACE_MAP true, "
            "MANIFEST 'no', "
            "VERIFY_CHECKSUMS {}{})",
            label, options.fast_checkpoint ? "fast" : "spread", options.server_verifies_checksums,
            options.max_rate_kib == 0 ? "" : fmt::format(", MAX_RATE {}", options.max_rate_kib));
    }
    return fmt::format("BASE_BACKUP LABEL {} PROGRESS{} NOWAIT TABLESPACE_MAP{}{} MANIFEST 'no'", label,
                       options.fast_checkpoint ? " FAST" : "",
                       options.max_rate_kib == 0 ? "" : fmt::format(" MAX_RATE {}", options.max_rate_kib),
                       options.server_verifies_checksums ? "" : " NOVERIFY_CHECKSUMS");
}

BaseBackupEnd stream_base_backup(ReplicationConnection& connection, const BaseBackupOptions& options,
                                 BaseBackupVisitor& visitor, std::stop_token stop) {
    const std::string command = base_backup_command(connection.server_version(), options);
    BaseBackup backup(connection.connection(), options, visitor, std::move(stop));
    try {
        return backup.run(command);
    } catch (const ServerError&) {
        throw;
    } catch (...) {
        backup.give_up();
        throw;
    }
}

} // namespace holdfast::postgres
