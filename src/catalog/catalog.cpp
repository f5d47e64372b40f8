#include "catalog/catalog.h"

#include "base/error.h"
#include "catalog/migrations.h"
#include "catalog/sqlite_database.h"

#include <cerrno>

#include <sys/stat.h>

namespace holdfast {

namespace {

// As many as are used together in quiet times; more are opened when they are needed, and closed again.
constexpr std::size_t most_idle = 8;

} // namespace

Catalog::Catalog(std::string url, Logger& logger) : url_(std::move(url)), logger_(logger) {
    std::unique_ptr<Database> database = open_database(url_, logger_);
    migrate(*database);
    idle_.push_back(std::move(database));
    file_ = identity();
}

std::optional<Catalog::FileIdentity> Catalog::identity() const {
    const auto file = sqlite_file(url_);
    struct stat status{};
    if (!file || ::stat(file->c_str(), &status) != 0) return std::nullopt;
    return FileIdentity{status.st_dev, status.st_ino};
}

bool Catalog::gone() const {
    if (!file_) return false;
    struct stat status{};
    const auto file = sqlite_file(url_);
    if (SqliteDatabase::is_known_as_damaged(*file)) return true;
    if (::stat(file->c_str(), &status) != 0) return errno == ENOENT || errno == ENOTDIR;
    return FileIdentity{status.st_dev, status.st_ino} != *file_;
}

std::unique_ptr<Database> Catalog::take() {
    // A session that was opened before would write to a file that nobody finds again.
    if (gone())
        throw Error(ErrorCode::unavailable, "the file of the catalog was taken away, or is damaged",
                    "start the server again: it makes a new one");
    {
        const std::scoped_lock lock(mutex_);
        while (!idle_.empty()) {
            std::unique_ptr<Database> database = std::move(idle_.back());
            idle_.pop_back();
            if (database->alive()) return database;
        }
    }
    return open_database(url_, logger_);
}

void Catalog::give_back(std::unique_ptr<Database> database) {
    if (!database->alive()) return;
    const std::scoped_lock lock(mutex_);
    if (idle_.size() < most_idle) idle_.push_back(std::move(database));
}

} // namespace holdfast
