// Policies that were made by API, as the server remembers them. What holds are the statements in the
// repository.
#pragma once

#include "catalog/catalog.h"

#include <optional>
#include <string>
#include <vector>

namespace holdfast {

struct KeptPolicy {
    std::string name;
    std::string body;      // JSON
    std::string statement; // the name of the object that says so
    Timestamp changed{};
    std::string changed_by; // a token's name; empty: it was read from the repository
    bool operator==(const KeptPolicy&) const = default;
};

// Thread-safe. The catalog must outlive it. All throw what the catalog throws.
class KeptPolicies {
  public:
    explicit KeptPolicies(Catalog& catalog) : catalog_(catalog) {}

    // By name.
    std::vector<KeptPolicy> list();
    std::vector<KeptPolicy> list(Database& database);
    std::optional<KeptPolicy> find(const std::string& name);
    // Within a transaction of the caller, which excludes other changes of policies from here on.
    void lock(Database& database);
    std::optional<KeptPolicy> find(Database& database, const std::string& name);
    void put(Database& database, const KeptPolicy& policy);
    void remove(Database& database, const std::string& name);

  private:
    Catalog& catalog_;
};

} // namespace holdfast
