#include "server/policy_book.h"

#include "base/error.h"
#include "policy/policy_form.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

namespace holdfast {

namespace {

std::string name_of(const StatementId& id) { return statement_name(id.slot, id.number); }

} // namespace

// What the catalog must learn from the repository.
struct PolicyBook::Difference {
    std::vector<KeptPolicy> put;
    std::vector<std::string> remove;
    std::string problem;
    bool withheld = false;
};

PolicyBook::PolicyBook(Catalog& catalog, std::function<OpenRepository()> open)
    : catalog_(catalog), kept_(catalog), open_(std::move(open)) {
    read();
}

std::vector<PolicyBook::Entry> PolicyBook::entries() const {
    const std::scoped_lock lock(mutex_);
    return entries_;
}

std::vector<Policy> PolicyBook::in_force(const std::vector<Policy>& declared) const {
    std::vector<StatedPolicy> stated;
    for (Entry& entry : entries()) stated.push_back({std::move(entry.policy), {}, {}, {}});
    return policies_in_force(declared, stated);
}

std::string PolicyBook::problem() const {
    const std::scoped_lock lock(mutex_);
    return problem_;
}

std::optional<KeptPolicy> PolicyBook::find(const std::string& name) const {
    for (Entry& entry : entries())
        if (entry.kept.name == name) return std::move(entry.kept);
    return std::nullopt;
}

PolicyBook::Known PolicyBook::known() {
    Known known;
    {
        const std::scoped_lock lock(mutex_);
        known.changes = changes_;
    }
    known.policies = kept_.list();
    return known;
}

void PolicyBook::reload() {
    read();
    count_change();
}

void PolicyBook::count_change() {
    const std::scoped_lock lock(mutex_);
    ++changes_;
}

void PolicyBook::read() {
    std::vector<Entry> entries;
    for (KeptPolicy& kept : kept_.list()) {
        try {
            Policy policy = parse_policy(kept.name, kept.body);
            entries.push_back({std::move(policy), std::move(kept)});
        } catch (const Error&) {
            // Of a newer version: the repository has it too, and then nothing is forgotten.
        }
    }
    const std::scoped_lock lock(mutex_);
    entries_ = std::move(entries);
}

PolicyBook::Difference PolicyBook::compare(const StatementList& list,
                                           const std::vector<KeptPolicy>& known) const {
    const StatedPolicies stated = stated_policies(list);
    Difference difference;
    if (!stated.problems.empty()) difference.problem = stated.problems.front();
    std::set<std::string> there; // of all policies, also those that are over
    for (const Statement& statement : list.statements)
        if (statement.type == StatementType::policy) there.insert(name_of(statement.id));
    const auto withheld = [&](const KeptPolicy& kept) { return !there.contains(kept.statement); };
    for (const KeptPolicy& kept : known) {
        if (withheld(kept)) {
            difference.withheld = true;
            difference.problem =
                fmt::format("the statement of the policy '{}', {}, is not in the repository any more",
                            kept.name, kept.statement);
        } else if (std::ranges::none_of(stated.policies, [&](const StatedPolicy& one) {
                       return one.policy.name == kept.name;
                   })) {
            difference.remove.push_back(kept.name);
        }
    }
    for (const StatedPolicy& one : stated.policies) {
        const auto before = std::ranges::find(known, one.policy.name, &KeptPolicy::name);
        if (before != known.end() && (withheld(*before) || before->statement == name_of(one.statement)))
            continue;
        difference.put.push_back({.name = one.policy.name,
                                  .body = one.body,
                                  .statement = name_of(one.statement),
                                  .changed = one.time,
                                  .changed_by = {}});
    }
    return difference;
}

bool PolicyBook::take(const StatementList& list, const Known& known, const ListStatements& again) {
    {
        const std::scoped_lock lock(mutex_);
        if (known.changes != changes_) return false;
    }
    Difference difference = compare(list, known.policies);
    // There are stores that list what was put a moment ago only a moment later.
    if (difference.withheld) difference = compare(again(), known.policies);
    if (!difference.put.empty() || !difference.remove.empty()) {
        catalog_.transaction([&](Database& database) {
            kept_.lock(database);
            if (kept_.list(database) != known.policies) return; // the next look sees it
            for (const KeptPolicy& policy : difference.put) kept_.put(database, policy);
            for (const std::string& name : difference.remove) kept_.remove(database, name);
        });
    }
    const auto kept_before = [&] {
        std::vector<KeptPolicy> all;
        for (Entry& entry : entries()) all.push_back(std::move(entry.kept));
        return all;
    };
    const std::vector<KeptPolicy> before = kept_before();
    read();
    const bool changed = before != kept_before();
    const std::scoped_lock lock(mutex_);
    return std::exchange(problem_, difference.problem) != difference.problem || changed;
}

PolicyBook::Change::Change(PolicyBook& book) : book_(book), lock_(book.changing_), open_(book.open_()) {
    book_.count_change();
    const Known known = book_.known();
    list_ = list();
    book_.take(list_, known, [this] { return list(); });
    if (const std::string problem = book_.problem(); !problem.empty())
        throw Error(ErrorCode::fenced, problem, "policies are changed when all of them can be read");
}

StatementList PolicyBook::Change::list() const { return list_statements(open_.repository->context()); }

std::string PolicyBook::Change::state(const std::string& name, const std::optional<Policy>& policy,
                                      const std::optional<KeptPolicy>& seen) {
    const Error meanwhile(ErrorCode::fenced, fmt::format("the policy '{}' was changed meanwhile", name),
                          "get it again, and decide anew");
    if (book_.kept_.find(name) != seen) throw meanwhile;
    const StatementId id = state_policy(*open_.repository, list_, name, policy);
    const Known known = book_.known();
    const StatementList now = list();
    const bool others = std::ranges::any_of(now.statements, [&](const Statement& statement) {
        return statement.type == StatementType::policy && statement.name == name && statement.id != id &&
               std::ranges::find(list_.statements, statement.id, &Statement::id) == list_.statements.end();
    });
    if (others) {
        book_.take(now, known, [this] { return list(); });
        throw meanwhile;
    }
    return name_of(id);
}

void PolicyBook::Change::keep(Database& database, const KeptPolicy& kept,
                              const std::optional<KeptPolicy>& seen) {
    book_.kept_.lock(database);
    const auto there = book_.kept_.find(database, kept.name);
    // Neither as before nor found by a look meanwhile: another server has changed it since.
    if (there != seen && !(there && there->statement == kept.statement)) return;
    if (kept.body.empty()) {
        book_.kept_.remove(database, kept.name);
    } else {
        book_.kept_.put(database, kept);
    }
}

} // namespace holdfast
