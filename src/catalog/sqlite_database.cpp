#include "catalog/sqlite_database.h"

#include "base/error.h"
#include "base/file_descriptor.h"

#include <atomic>
#include <mutex>
#include <set>

#include <SQLiteCpp/SQLiteCpp.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sqlite3.h>
#include <sys/stat.h>

namespace holdfast {

namespace {

constexpr int busy_wait_milliseconds = 10'000;

// Whichever session finds it, all others are on the same file.
struct DamagedFiles {
    std::atomic<bool> any{false}; // which spares the lock where there is none
    std::mutex mutex;
    std::set<std::string> files;
};
DamagedFiles& damaged_files() {
    static DamagedFiles damaged;
    return damaged;
}

void note_damage(const std::string& file) {
    DamagedFiles& damaged = damaged_files();
    const std::scoped_lock lock(damaged.mutex);
    damaged.files.insert(file);
    damaged.any = true;
}

Error error_of(const SQLite::Exception& error, const std::string& file) {
    const std::string message = fmt::format("the catalog {}: {}", file, error.what());
    switch (error.getErrorCode()) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return Error(ErrorCode::unavailable, message, "another program writes to it for a long time", true);
    case SQLITE_FULL:
        return Error(ErrorCode::no_space, message, "make room on its disk", true);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        note_damage(file);
        return Error(ErrorCode::corrupt, message,
                     "start the server again: it keeps the file aside and makes a new one, and what matters "
                     "is read from the repository");
    case SQLITE_READONLY:
    case SQLITE_PERM:
        return Error(ErrorCode::access_denied, message);
    case SQLITE_CANTOPEN:
    case SQLITE_IOERR:
        return Error(ErrorCode::io, message, "look at its directory and disk", true);
    default:
        return Error(ErrorCode::internal, message);
    }
}

template <typename Body>
auto translated(const std::string& file, Body&& body) {
    try {
        return body();
    } catch (const SQLite::Exception& error) {
        throw error_of(error, file);
    }
}

// Before SQLite does, which would leave it to the umask who may read it. One that is there is not touched:
// closing a descriptor of it gives up the locks of all sessions of this process (fcntl(2)), and the next
// other process that closes it takes the log away from under them.
void make_private(const std::string& file) {
    const int descriptor = ::open(file.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
    if (descriptor < 0 && errno == EEXIST) return;
    if (descriptor < 0) throw system_error(errno, fmt::format("the catalog {}", file));
    const FileDescriptor close_it(descriptor);
}

SqlValue value_of(const SQLite::Column& column) {
    if (column.isNull()) return {};
    if (column.isInteger()) return static_cast<std::int64_t>(column.getInt64());
    return column.getString();
}

// Its values must not stay bound: they may be large, or secret.
class ResetAtEnd {
  public:
    explicit ResetAtEnd(SQLite::Statement& statement) : statement_(statement) {}
    ~ResetAtEnd() {
        statement_.tryReset();
        try {
            statement_.clearBindings();
        } catch (const SQLite::Exception&) {
            // Nothing that a caller could do; the next use binds all of them again.
        }
    }
    ResetAtEnd(const ResetAtEnd&) = delete;
    ResetAtEnd& operator=(const ResetAtEnd&) = delete;

  private:
    SQLite::Statement& statement_;
};

} // namespace

SqliteDatabase::SqliteDatabase(const std::string& file) : file_(file) {
    make_private(file);
    translated(file_, [&] {
        database_ = std::make_unique<SQLite::Database>(file, SQLite::OPEN_READWRITE, busy_wait_milliseconds);
        database_->exec("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; "
                        "PRAGMA trusted_schema=OFF");
    });
}

SqliteDatabase::~SqliteDatabase() { prepared_.clear(); }

void SqliteDatabase::bind(SQLite::Statement& statement, int index, const SqlValue& value) {
    if (const auto* number = std::get_if<std::int64_t>(&value)) {
        statement.bind(index, *number);
    } else if (const auto* text = std::get_if<std::string>(&value)) {
        statement.bind(index, storable(*text));
    } else {
        statement.bind(index);
    }
}

SQLite::Statement& SqliteDatabase::prepared(std::string_view statement) {
    const auto known = prepared_.find(statement);
    if (known != prepared_.end()) return *known->second;
    auto made = std::make_unique<SQLite::Statement>(*database_, std::string(statement));
    return *prepared_.emplace(std::string(statement), std::move(made)).first->second;
}

std::vector<SqlRow> SqliteDatabase::query(std::string_view statement, const SqlValues& values) {
    return translated(file_, [&] {
        SQLite::Statement& prepared_statement = prepared(statement);
        const ResetAtEnd reset(prepared_statement);
        for (std::size_t i = 0; i < values.size(); ++i) {
            // SQLite takes $1 for a name, not for a place.
            const int index = prepared_statement.getIndex(fmt::format("${}", i + 1).c_str());
            if (index != 0) bind(prepared_statement, index, values[i]);
        }
        std::vector<SqlRow> rows;
        while (prepared_statement.executeStep()) {
            SqlValues row;
            for (int column = 0; column < prepared_statement.getColumnCount(); ++column)
                row.push_back(value_of(prepared_statement.getColumn(column)));
            rows.emplace_back(std::move(row));
        }
        return rows;
    });
}

void SqliteDatabase::execute(std::string_view statements) {
    translated(file_, [&] { database_->exec(std::string(statements)); });
}

bool SqliteDatabase::alive() { return sqlite3_get_autocommit(database_->getHandle()) != 0; }

bool SqliteDatabase::is_known_as_damaged(const std::string& file) {
    DamagedFiles& damaged = damaged_files();
    if (!damaged.any) return false;
    const std::scoped_lock lock(damaged.mutex);
    return damaged.files.contains(file);
}

void SqliteDatabase::forget_damage(const std::string& file) {
    DamagedFiles& damaged = damaged_files();
    const std::scoped_lock lock(damaged.mutex);
    damaged.files.erase(file);
    damaged.any = !damaged.files.empty();
}

void SqliteDatabase::begin() { execute("BEGIN IMMEDIATE"); }

} // namespace holdfast
