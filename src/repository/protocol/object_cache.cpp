#include "repository/protocol/object_cache.h"

#include "base/error.h"
#include "base/file_descriptor.h"

#include <algorithm>
#include <filesystem>

#include <SQLiteCpp/SQLiteCpp.h>
#include <sqlite3.h>

namespace holdfast {

namespace {

// Another program writes for milliseconds; without the cache it goes on, too.
constexpr int busy_wait_milliseconds = 500;
// Then this program goes on without.
constexpr int most_failures = 3;

Bytes bytes_of(const SQLite::Column& column) {
    const auto* begin = static_cast<const Byte*>(column.getBlob());
    return {begin, begin + column.getBytes()};
}

void bind(SQLite::Statement& statement, const ObjectInfo& info) {
    statement.bind(1, info.name);
    statement.bind(2, info.token);
}

// The least text that is greater than all that begin with `prefix`, which ends with an ASCII character.
std::string behind(std::string prefix) {
    ++prefix.back();
    return prefix;
}

} // namespace

struct ObjectCache::Database {
    explicit Database(const std::string& file)
        : sqlite(file, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE, busy_wait_milliseconds) {
        // What a power cut takes away, or damages, is read from the store again.
        sqlite.exec("PRAGMA synchronous = OFF");
        sqlite.exec("CREATE TABLE IF NOT EXISTS objects (name TEXT PRIMARY KEY, token TEXT NOT NULL, "
                    "object BLOB NOT NULL) "
                    "WITHOUT ROWID");
    }
    SQLite::Database sqlite;
};

ObjectCache::ObjectCache(std::string file, Logger& logger) : file_(std::move(file)), logger_(logger) {}
ObjectCache::~ObjectCache() = default;

ObjectCache::Database* ObjectCache::database() {
    if (!database_ && failures_ < most_failures) {
        create_directories_private(std::filesystem::path(file_).parent_path().string());
        database_ = std::make_unique<Database>(file_);
    }
    return database_.get();
}

// One that is damaged, or has other tables, is removed, and a new one is begun; so it is after the file was
// taken away by others.
template <typename Work>
void ObjectCache::with_database(Work&& work) {
    const std::scoped_lock lock(mutex_);
    const auto fail = [&](const std::string& why) {
        database_.reset();
        if (failures_++ > 0) return;
        logger_.warning("local cache of objects is not used", {{"file", file_}, {"reason", why}});
    };
    try {
        if (Database* const found = database()) work(found->sqlite);
    } catch (const SQLite::Exception& error) {
        const int code = error.getErrorCode();
        if (code == SQLITE_BUSY || code == SQLITE_LOCKED) return; // as if nothing were there, this time
        fail(error.what());
        std::error_code ignored;
        if (code != SQLITE_CORRUPT && code != SQLITE_NOTADB && code != SQLITE_ERROR) return;
        std::filesystem::remove(file_, ignored);
        // What it was to be set back to must not get into a new one.
        std::filesystem::remove(file_ + "-journal", ignored);
    } catch (const Error& error) {
        fail(error.message());
    }
}

std::map<std::string, Bytes> ObjectCache::find(std::span<const ObjectInfo> listed) {
    std::map<std::string, Bytes> found;
    with_database([&](SQLite::Database& sqlite) {
        SQLite::Statement query(
            sqlite, "SELECT object FROM objects WHERE name = ? AND token = ? AND length(object) <= ?");
        query.bind(3, static_cast<std::int64_t>(largest_object_bytes));
        for (const ObjectInfo& info : listed) {
            bind(query, info);
            if (query.executeStep()) found.emplace(info.name, bytes_of(query.getColumn(0)));
            query.reset();
        }
    });
    return found;
}

void ObjectCache::add(const std::vector<Object>& objects) {
    if (objects.empty()) return;
    with_database([&](SQLite::Database& sqlite) {
        SQLite::Transaction transaction(sqlite, SQLite::TransactionBehavior::IMMEDIATE);
        SQLite::Statement insert(sqlite, "INSERT OR REPLACE INTO objects VALUES (?, ?, ?)");
        for (const auto& [listed, bytes] : objects) {
            if (bytes.size() > largest_object_bytes || listed.token.empty()) continue;
            bind(insert, listed);
            insert.bind(3, bytes.data(), static_cast<int>(bytes.size()));
            insert.exec();
            insert.reset();
        }
        transaction.commit();
    });
}

void ObjectCache::keep_only(const std::string& prefix, std::span<const ObjectInfo> listed) {
    with_database([&](SQLite::Database& sqlite) {
        std::vector<std::string> gone;
        SQLite::Statement query(sqlite, "SELECT name FROM objects WHERE name >= ? AND name < ?");
        query.bind(1, prefix);
        query.bind(2, behind(prefix));
        while (query.executeStep()) {
            std::string name = query.getColumn(0).getString();
            if (!std::ranges::binary_search(listed, name, {}, &ObjectInfo::name))
                gone.push_back(std::move(name));
        }
        query.reset();
        if (gone.empty()) return;
        SQLite::Transaction transaction(sqlite, SQLite::TransactionBehavior::IMMEDIATE);
        SQLite::Statement remove(sqlite, "DELETE FROM objects WHERE name = ?");
        for (const std::string& name : gone) {
            remove.bind(1, name);
            remove.exec();
            remove.reset();
        }
        transaction.commit();
    });
}

} // namespace holdfast
