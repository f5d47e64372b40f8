// Operations: work that takes time, as it is asked for, under way and done.
#pragma once

#include "base/random.h"
#include "catalog/catalog.h"

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace holdfast {

enum class OperationState {
    queued,
    running,
    succeeded,
    incomplete, // done, but something was left out
    failed,
    cancelled,
};
std::string_view to_string(OperationState state);
// Throws Error(usage).
OperationState operation_state(std::string_view text);
// Whether nothing more happens to it.
bool is_over(OperationState state);

struct OperationProgress {
    std::string phase;
    std::uint64_t done_bytes = 0, total_bytes = 0, done_items = 0, total_items = 0; // totals 0: not known
    bool operator==(const OperationProgress&) const = default;
};

struct Operation {
    std::string id;   // ascending with the time of its creation
    std::string kind; // "backup", "verify" …
    std::optional<std::string> source;
    OperationState state = OperationState::queued;
    std::string request; // JSON: what is to be done
    std::string requested_by;
    std::optional<std::string> plan;  // of a policy, which asked for it …
    std::optional<Timestamp> nominal; // … for this time
    Timestamp created{};
    Timestamp run_after{};
    std::optional<Timestamp> started, ended;
    // How often it was begun; of these, how often it failed and is to be tried again, and how often it was
    // interrupted: its server ended, or was lost, or its lease was.
    std::int64_t attempts = 0, failures = 0, interruptions = 0;
    // How many servers were lost with it, one after the other, since it came further than ever before or
    // failed by itself. One that ends in good order is not lost.
    std::int64_t losses = 0;
    std::optional<std::string> owner; // the server that carries it out
    std::optional<Timestamp> lease_until;
    bool cancel_requested = false;
    OperationProgress progress;
    std::optional<std::string> result, error; // JSON
};

struct OperationRequest {
    std::string kind;
    std::optional<std::string> source{};
    std::string request = "{}";
    std::string requested_by{};
    std::optional<std::string> plan{};
    std::optional<Timestamp> nominal{};
    Timestamp run_after{};
};

struct OperationFilter {
    std::optional<std::string> kind{}, source{};
    std::set<OperationState> states{}; // empty: all
    // Newest first: those before this id.
    std::optional<std::string> before{};
    std::size_t limit = 100;
};

struct OperationLogLine {
    std::int64_t number = 0;
    Timestamp time{};
    std::string level, message;
};

// How many may be under way together, and how often one is begun.
struct OperationLimits {
    std::int64_t at_once = 2; // of all servers that share the catalog
    std::int64_t of_a_source = 1;
    // Servers that are lost with an operation, one after the other, before it is given up: it may be what
    // ends them.
    std::int64_t losses = 20;
};

// What is done in the transaction in which an operation is begun, or is over: it is there with that, or
// neither is.
struct OperationHooks {
    // As it was claimed. Not called of what goes on in the server that claims it, nor of what has been lost
    // so often that it is not begun again.
    std::function<void(Database&, const Operation&)> begun{};
    // As it is from then on, with the result and the error that were just told. Not called of one that was
    // cancelled before anybody had begun it.
    std::function<void(Database&, const Operation&)> ended{};
};

// Thread-safe. Any number of servers may use one catalog, whatever their clocks say: an operation is carried
// out by at most one of them at a time, as long as it renews its lease. All throws what the catalog throws.
// The arguments must outlive it.
class Operations {
  public:
    Operations(Catalog& catalog, Clock& clock, Random& random, OperationHooks hooks = {})
        : catalog_(catalog), clock_(clock), random_(random), hooks_(std::move(hooks)) {}

    // Asks for work, and returns its id. With a plan and a nominal time it is asked for once, whoever asks
    // how often: nothing is returned when it was before.
    std::optional<std::string> add(const OperationRequest& request);
    // Within a transaction of the caller.
    std::optional<std::string> add(Database& database, const OperationRequest& request);
    std::optional<Operation> find(const std::string& id);
    // Without their results, which may be large.
    std::vector<Operation> list(const OperationFilter& filter);
    // The nominal time of the last run of this kind that a plan was asked for.
    std::optional<Timestamp> last_nominal(const std::string& kind, const std::optional<std::string>& source,
                                          const std::string& plan);

    // That run itself.
    std::optional<Operation> last_run(const std::string& kind, const std::optional<std::string>& source,
                                      const std::string& plan);

    // Takes, of those that may run now, the one that has waited longest, for `lease` from now on: restores
    // first, then what somebody asked for, then what plans did. That
    // may also be one whose server has not renewed its lease in time: then `attempts` tells. Nothing when
    // there is none. What is put off, or leased by another server, for longer than longest_catalog_wait was
    // so by a clock that was wrong, and may run now.
    std::optional<Operation> claim(const std::string& owner, Duration lease, const OperationLimits& limits);
    struct Renewal {
        bool ours = false; // else another has it, or it is over: stop
        bool cancel_requested = false;
    };
    // Of all these, `claimed` is what claim() returned: who it was claimed by, and in which attempt, decides
    // whether it is still ours. Of what they and log() are told nothing is kept that looks like a secret
    // (base/secret_text.h), but in a result.
    Renewal renew(const Operation& claimed, Duration lease, const OperationProgress& progress);
    // Ends it; false when it is not ours any more, and nothing was changed. `also` is done in the same
    // transaction.
    bool finish(
        const Operation& claimed, OperationState state, const std::optional<std::string>& result,
        const std::optional<std::string>& error,
        const std::function<void(Database&)>& also = [](Database&) {});
    enum class Why { failed, interrupted };
    // Puts it back, to be run again, or ends it when it is to be cancelled; `error` is why. False as
    // finish().
    bool put_back(const Operation& claimed, Why why, Timestamp run_after, const std::string& error);
    // Asks whoever carries it out to stop; one that nobody has begun is over at once. False when it was over.
    bool cancel(const std::string& id);
    bool cancel(Database& database, const std::string& id);

    void log(const std::string& id, std::string_view level, std::string_view message);
    std::vector<OperationLogLine> log_after(const std::string& id, std::int64_t number, std::size_t limit);

    // How many are in each state.
    std::map<OperationState, std::int64_t> counts();
    // Takes away those that ended before, with their logs, but for the last of each plan; returns how many.
    std::int64_t remove_ended_before(Timestamp time);

  private:
    std::string new_id(Timestamp now);
    // Of the catalog's database where that has a clock: several servers must agree on when a lease ends, and
    // nobody's clock need be right.
    Timestamp now(Database& database) { return database.time().value_or(clock_.now()); }
    // A time by this server's clock, as it is by now().
    Timestamp translated(Database& database, Timestamp time);
    void tell_ended(Database& database, const Operation& operation) const {
        if (hooks_.ended) hooks_.ended(database, operation);
    }

    Catalog& catalog_;
    Clock& clock_;
    Random& random_;
    OperationHooks hooks_;
};

} // namespace holdfast
