// The audit trail: who did what, in an order that nobody changes unnoticed by who has kept a head of it.
#pragma once

#include "base/bytes.h"
#include "catalog/catalog.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace holdfast {

struct AuditEntry {
    std::int64_t number = 0; // from 1, without a gap
    Timestamp time{};
    std::string actor;   // a token's name, "schedule", a user of this machine
    std::string action;  // "snapshot.forget", "hold.release" …
    std::string object;  // what it was done to
    std::string details; // JSON
    // SHA-256 over the digest of the entry before (zeros for the first) and all of the above, in hexadecimal.
    std::string digest;
    bool operator==(const AuditEntry&) const = default;
};

// The digest that an entry behind `previous` must have.
std::string audit_digest(const AuditEntry& entry, const std::string& previous);

// What an outsider must know to find a trail that was cut or written anew.
struct AuditHead {
    std::int64_t number = 0; // 0: the trail is empty
    std::string digest;
    bool operator==(const AuditHead&) const = default;
};

struct AuditCheck {
    std::int64_t entries = 0;
    AuditHead head;
    std::vector<std::string> problems; // the first twenty
};

// Only ever added to. Thread-safe; several servers write one chain. What looks like a secret in an object or
// in details does not get in, whoever adds it (base/secret_text.h).
class Audit {
  public:
    Audit(Catalog& catalog, Clock& clock) : catalog_(catalog), clock_(clock) {}

    AuditEntry append(const std::string& actor, const std::string& action, const std::string& object,
                      const std::string& details = "{}");
    // Within a transaction of the caller, so that what was done and that it was done are there together.
    AuditEntry append(Database& database, const std::string& actor, const std::string& action,
                      const std::string& object, const std::string& details);
    struct Deed {
        std::string actor, object, details;
    };
    // Those of `objects` that have no entry of this action.
    std::vector<std::string> without(const std::string& action, const std::vector<std::string>& objects);
    // An entry of this action for each that has none for its object yet, whoever does this at the same time;
    // returns how many there were.
    std::size_t append_missing(const std::string& action, const std::vector<Deed>& deeds);
    AuditHead head();
    // Of the first entry, by which a trail is known; empty when there is none.
    std::string first_digest();
    // Calls `visit` with the entries from `first` on, in order, until it returns false.
    void read(std::int64_t first, const std::function<bool(const AuditEntry&)>& visit);
    // Follows the chain, and looks for heads that were seen before, in any order.
    AuditCheck verify(const std::vector<AuditHead>& known_heads = {});

  private:
    Catalog& catalog_;
    Clock& clock_;
};

} // namespace holdfast
