#include "server/checklist_keeper.h"

#include "base/error.h"
#include "service/audit_heads.h"
#include "watch/trial.h"

#include <nlohmann/json.hpp>

namespace holdfast {

namespace {

constexpr Duration between_rounds = std::chrono::seconds(5);
// Facts that are older say nothing of now: the monitor hangs.
constexpr Duration oldest_facts = std::chrono::minutes(5);
// All of the trail is read: not again soon when it did not fit.
constexpr Duration trail_again = std::chrono::hours(1);
// Of operations, for one that counts.
constexpr std::size_t looked_through_together = 500, most_parts = 10;

} // namespace

void ChecklistKeeper::run(const std::stop_token& stop) {
    do {
        std::string problem;
        try {
            round();
        } catch (const std::exception& error) {
            problem = error.what();
        }
        if (!problem.empty() && problem_.empty())
            services_.logger.warning("checklists are not looked at", {{"reason", problem}});
        problem_ = problem;
    } while (services_.clock.sleep_for(between_rounds, stop));
}

void ChecklistKeeper::round() {
    const auto view = services_.view();
    const auto watch = services_.watch();
    const auto facts = watch->last_facts();
    // What is judged must have been seen before.
    if (!view || !facts || facts->at < view->at || facts->at == looked_) return;
    if (services_.clock.now() - facts->at > oldest_facts) return;
    looked_ = facts->at;
    ChecklistEvidence evidence{.facts = *facts, .rules = watch->alerts().settings().rules, .period = {}};
    evidence.open_alerts = watch->alerts().open_counts();
    evidence.last_success = last_successes();
    for (const Checklist& list : services_.book.lists()) look_at(list, evidence, *view);
}

void ChecklistKeeper::look_at(const Checklist& list, ChecklistEvidence& evidence,
                              const RepositoryView& view) {
    const Facts& facts = evidence.facts;
    const ChecklistPeriod now = services_.book.periods(list, 1).front();
    evidence.period = now.span;
    // What was seen in the period before says nothing of this one.
    const bool is_seen = now.span.contains(view.at) && now.span.contains(facts.at);
    for (const ChecklistItemState& each : now.items) {
        CheckFinding finding;
        if (is_seen && each.item.check && each.state == ItemState::due) {
            if (each.item.check == ChecklistCheck::audit) look_at_trail(view, now.span.begin);
            evidence.trail = trail_;
            finding = find_by_check(*each.item.check, evidence);
            if (finding.verdict == Verdict::clear) {
                services_.catalog.transaction([&](Database& database) {
                    services_.book.tick(
                        database, list,
                        {.list = list.name, .item = each.item.name, .at = facts.at, .note = finding.text});
                });
                finding.text.clear();
            }
        }
        const std::scoped_lock lock(mutex_);
        seen_[{list.name, each.item.name}] = finding.text;
    }
}

// Once a period, as `holdfast audit verify` does.
void ChecklistKeeper::look_at_trail(const RepositoryView& view, Timestamp period_begin) {
    const Duration steady = services_.clock.steady();
    if (trail_ && trail_->at >= period_begin && steady - *trail_looked_ < trail_again) return;
    trail_looked_ = steady;
    const Timestamp begun = services_.clock.now();
    const nlohmann::json check = verify_trail(services_.audit, view.measurements.statements.statements);
    trail_ = TrailFacts{.at = begun,
                        .intact = check.at("intact").get<bool>(),
                        .entries = check.at("entries").get<std::int64_t>(),
                        .heads = check.at("heads_compared").get<std::size_t>(),
                        .other_trails = check.at("other_trails").size()};
}

bool counts_for_checklists(const Operation& operation) {
    return operation.kind != "retention" || (!operation.source && !is_trial(operation));
}

std::map<std::string, Timestamp> ChecklistKeeper::last_successes() {
    std::map<std::string, Timestamp> last;
    for (const char* kind : {"retention", "restore"}) {
        OperationFilter succeeded{
            .kind = kind, .states = {OperationState::succeeded}, .limit = looked_through_together};
        // Newest first. Trials do not count, and there may be many of them.
        for (std::size_t part = 0; part < most_parts && !last.contains(kind); ++part) {
            const std::vector<Operation> operations = services_.operations.list(succeeded);
            for (const Operation& operation : operations)
                if (operation.ended && counts_for_checklists(operation))
                    last.try_emplace(kind, *operation.ended);
            if (operations.size() < looked_through_together) break;
            succeeded.before = operations.back().id;
        }
    }
    return last;
}

std::string ChecklistKeeper::seen(const std::string& list, const std::string& item) const {
    const std::scoped_lock lock(mutex_);
    const auto found = seen_.find({list, item});
    return found == seen_.end() ? std::string() : found->second;
}

} // namespace holdfast
