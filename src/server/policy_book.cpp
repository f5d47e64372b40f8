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

std::uint64_t PolicyBook::changes() const {
    const std::scoped_lock lock(mutex_);
    return changes_;
}

void PolicyBook::reload() {
    read();
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

bool PolicyBook::take(const StatementList& list, std::uint64_t changes) {
    if (changes != this->changes()) return false;
    Difference difference = compare(list, kept_.list());
    if (!difference.put.empty() || !difference.remove.empty()) {
        catalog_.transaction([&](Database& database) {
            kept_.lock(database);
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

PolicyBook::Change::Change(PolicyBook& book)
    : book_(book),
      lock_(book.changing_),
      open_(book.open_()),
      list_(list_statements(open_.repository->context())) {
    book_.take(list_, book_.changes());
    if (const std::string problem = book_.problem(); !problem.empty())
        throw Error(ErrorCode::fenced, problem, "policies are changed when all of them can be read");
}

std::optional<KeptPolicy> PolicyBook::Change::find(const std::string& name) const {
    for (Entry& entry : book_.entries())
        if (entry.kept.name == name) return std::move(entry.kept);
    return std::nullopt;
}

void PolicyBook::Change::state(Database& database, const KeptPolicy& kept,
                               const std::optional<Policy>& policy, const std::optional<KeptPolicy>& seen) {
    book_.kept_.lock(database);
    if (book_.kept_.find(database, kept.name) != seen)
        throw Error(ErrorCode::fenced, fmt::format("the policy '{}' was changed meanwhile", kept.name),
                    "get it again, and decide anew");
    const StatementId id = state_policy(*open_.repository, list_, kept.name, policy);
    KeptPolicy stated = kept;
    stated.statement = name_of(id);
    if (policy) {
        book_.kept_.put(database, stated);
    } else {
        book_.kept_.remove(database, kept.name);
    }
}

} // namespace holdfast
