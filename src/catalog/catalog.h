// The catalog as the server uses it: sessions for many threads, and tables that are as this program expects
// them.
#pragma once

#include "catalog/database.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace holdfast {

// A cache and a queue: what matters for longer lies in the repository. Thread-safe. The logger must outlive
// it.
class Catalog {
  public:
    // Opens it and brings its tables to what this version needs, in one transaction; other servers wait for
    // that. Throws what open_database() throws, and Error(incompatible) when a newer version has been here.
    Catalog(std::string url, Logger& logger);

    // Whether its file was taken away since it was opened, is another one now, or was found damaged; never so
    // of a database server. Then nothing can be done with it but opening it anew.
    bool gone() const;

    // Runs `body` with a session of its own, outside of any transaction. A session that failed because the
    // database was gone is not used again. Throws Error(unavailable) when the catalog is gone.
    template <typename Body>
    auto with(Body&& body) {
        Lease lease(*this);
        return body(lease.database());
    }
    // Runs `body` in a transaction.
    template <typename Body>
    void transaction(Body&& body) {
        with([&](Database& database) { database.transaction([&] { body(database); }); });
    }

  private:
    struct FileIdentity {
        std::uint64_t device = 0, inode = 0;
        bool operator==(const FileIdentity&) const = default;
    };
    std::optional<FileIdentity> identity() const;
    class Lease {
      public:
        explicit Lease(Catalog& catalog) : catalog_(catalog), database_(catalog.take()) {}
        ~Lease() { catalog_.give_back(std::move(database_)); }
        Lease(const Lease&) = delete;
        Lease& operator=(const Lease&) = delete;
        Database& database() { return *database_; }

      private:
        Catalog& catalog_;
        std::unique_ptr<Database> database_;
    };
    std::unique_ptr<Database> take();
    void give_back(std::unique_ptr<Database> database);

    std::string url_;
    std::optional<FileIdentity> file_; // of SQLite, as it was opened
    Logger& logger_;
    std::mutex mutex_;
    std::vector<std::unique_ptr<Database>> idle_;
};

} // namespace holdfast
