#include "catalog/catalog.h"

#include "catalog/migrations.h"

namespace holdfast {

namespace {

// As many as are used together in quiet times; more are opened when they are needed, and closed again.
constexpr std::size_t most_idle = 8;

} // namespace

Catalog::Catalog(std::string url, Logger& logger) : url_(std::move(url)), logger_(logger) {
    std::unique_ptr<Database> database = open_database(url_, logger_);
    migrate(*database);
    idle_.push_back(std::move(database));
}

std::unique_ptr<Database> Catalog::take() {
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
