// Ticks of checklists what the server can see for itself.
#pragma once

#include "base/log.h"
#include "catalog/audit.h"
#include "catalog/operations.h"
#include "server/checklist_book.h"
#include "server/repository_view.h"
#include "watch/checklist_checks.h"
#include "watch/watch.h"

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>

namespace holdfast {

struct ChecklistServices {
    ChecklistBook& book;
    Catalog& catalog;
    Operations& operations;
    Audit& audit;
    Clock& clock;
    Logger& logger;
    std::function<std::shared_ptr<Watch>()> watch; // the one of now
    std::function<std::shared_ptr<const RepositoryView>()> view;
};

// run() is called by one thread; the rest is thread-safe. What it refers to outlives it.
class ChecklistKeeper {
  public:
    explicit ChecklistKeeper(ChecklistServices services) : services_(std::move(services)) {}

    // Looks at each item that is due whenever the watch has new facts, until `stop`.
    void run(const std::stop_token& stop);
    // Why an item that is due was not ticked when it was last looked at; empty: it was not.
    std::string seen(const std::string& list, const std::string& item) const;

  private:
    void round();
    // For the period that it has now; the rest of `evidence` is there.
    void look_at(const Checklist& list, ChecklistEvidence& evidence, const RepositoryView& view);
    void look_at_trail(const RepositoryView& view, Timestamp period_begin);
    std::map<std::string, Timestamp> last_successes();

    const ChecklistServices services_;
    std::optional<Timestamp> looked_; // at the facts of this time
    std::optional<TrailFacts> trail_;
    std::optional<Duration> trail_looked_;
    std::string problem_; // of the last round; empty: it had none
    mutable std::mutex mutex_;
    std::map<std::pair<std::string, std::string>, std::string> seen_; // by list and item
};

// Whether an operation that succeeded ticks what is of its kind: retention is enforced where that is of all
// sources, and more than a trial.
bool counts_for_checklists(const Operation& operation);

} // namespace holdfast
