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
constexpr int busy_wait_milliseconds = 2000;

Bytes bytes_of(const SQLite::Column& column) {
    const auto* begin = static_cast<const Byte*>(column.getBlob());
    return {begin, begin + column.getBytes()};
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
        sqlite.exec("CREATE TABLE IF NOT EXISTS objects (name TEXT PRIMARY KEY, object BLOB NOT NULL) "
                    "WITHOUT ROWID");
    }
    SQLite::Database sqlite;
};

ObjectCache::ObjectCache(std::string file, Logger& logger) : file_(std::move(file)), logger_(logger) {}
ObjectCache::~ObjectCache() = default;

ObjectCache::Database* ObjectCache::database() {
    if (!database_ && !failed_) {
        create_directories_private(std::filesystem::path(file_).parent_path().string());
        database_ = std::make_unique<Database>(file_);
    }
    return database_.get();
}

// One that is damaged is removed, so that the next program begins a new one.
template <typename Work>
void ObjectCache::with_database(Work&& work) {
    const std::scoped_lock lock(mutex_);
    const auto fail = [&](const std::string& why) {
        failed_ = true;
        database_.reset();
        logger_.warning("local cache of objects is not used", {{"file", file_}, {"reason", why}});
    };
    try {
        if (Database* const found = database()) work(found->sqlite);
    } catch (const SQLite::Exception& error) {
        fail(error.what());
        const int code = error.getErrorCode();
        std::error_code ignored;
        if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB) std::filesystem::remove(file_, ignored);
    } catch (const Error& error) {
        fail(error.message());
    }
}

std::map<std::string, Bytes> ObjectCache::find(std::span<const std::string> names) {
    std::map<std::string, Bytes> found;
    with_database([&](SQLite::Database& sqlite) {
        SQLite::Statement query(sqlite, "SELECT object FROM objects WHERE name = ?");
        for (const std::string& name : names) {
            query.bind(1, name);
            if (query.executeStep()) found.emplace(name, bytes_of(query.getColumn(0)));
            query.reset();
        }
    });
    return found;
}

void ObjectCache::add(const std::vector<std::pair<std::string, Bytes>>& objects) {
    if (objects.empty()) return;
    with_database([&](SQLite::Database& sqlite) {
        SQLite::Transaction transaction(sqlite, SQLite::TransactionBehavior::IMMEDIATE);
        SQLite::Statement insert(sqlite, "INSERT OR REPLACE INTO objects VALUES (?, ?)");
        for (const auto& [name, object] : objects) {
            if (object.size() > largest_object_bytes) continue;
            insert.bind(1, name);
            insert.bind(2, object.data(), static_cast<int>(object.size()));
            insert.exec();
            insert.reset();
        }
        transaction.commit();
    });
}

void ObjectCache::keep_only(const std::string& prefix, std::span<const std::string> names) {
    with_database([&](SQLite::Database& sqlite) {
        std::vector<std::string> gone;
        SQLite::Statement query(sqlite, "SELECT name FROM objects WHERE name >= ? AND name < ?");
        query.bind(1, prefix);
        query.bind(2, behind(prefix));
        while (query.executeStep()) {
            std::string name = query.getColumn(0).getString();
            if (!std::ranges::binary_search(names, name)) gone.push_back(std::move(name));
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
