// What waits for a second person before it is done.
#pragma once

#include "base/random.h"
#include "catalog/catalog.h"

#include <optional>
#include <string>
#include <vector>

namespace holdfast {

struct Approval {
    std::string id;           // "ap_" and digits that ascend with the time of its creation
    std::string action;       // the name of what is asked for
    std::string request;      // JSON: all that is needed to do it
    std::string requested_by; // the id of a token
    Timestamp created{}, expires{};
    std::string state; // "pending", "approved", "rejected"; "expired" when nobody decided in time
    std::optional<std::string> decided_by; // the id of another token
    std::optional<Timestamp> decided;
    // JSON: what came of it once it was approved; nothing while it is being carried out.
    std::optional<std::string> answer;
};

// Kept for 24 hours to be decided on. Thread-safe. The arguments outlive it.
class Approvals {
  public:
    Approvals(Catalog& catalog, Clock& clock, Random& random)
        : catalog_(catalog), clock_(clock), random_(random) {}

    // Within a transaction of the caller.
    Approval add(Database& database, const std::string& action, const std::string& request,
                 const std::string& requested_by);
    std::optional<Approval> find(const std::string& id);
    // Newest first, those before the id `before` (empty: all).
    std::vector<Approval> list(const std::string& before, std::size_t limit);
    // Decides on one that is pending, within a transaction: of several who try, one does. False when it is
    // not pending any more, or `by` is who asked for it.
    // Who approves carries it out, for a minute with nobody else; see claim_left(). What was approved and has
    // no answer can still be rejected while nobody is at it.
    bool decide(Database& database, const std::string& id, bool approved, const std::string& by);
    // One that was approved and has no answer though its minute is over: whoever was to carry it out is
    // lost, or could not do it. It is the caller's for another minute. Nothing when there is none that nobody
    // is at.
    std::optional<Approval> claim_left();
    // In a transaction that does what was approved, or precedes it, at its beginning: who does it has another
    // minute. Throws Error(fenced) when it has its answer, since another has done it, or was called back.
    void require_unanswered(Database& database, const std::string& id);
    // The first answer stays.
    void keep_answer(Database& database, const std::string& id, const std::string& answer);

  private:
    // As Operations::now().
    Timestamp now(Database& database) { return database.time().value_or(clock_.now()); }

    Catalog& catalog_;
    Clock& clock_;
    Random& random_;
};

} // namespace holdfast
