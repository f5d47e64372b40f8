#include "api/operation_feed.h"

#include "api/operation_json.h"

#include <algorithm>
#include <iterator>
#include <set>

namespace holdfast::api {

namespace {

// So many are read at once of those that are not over, and of those that are new.
constexpr std::size_t most_read = 1000;
constexpr std::size_t most_new_read = 200;

// An estimate moves with the clock alone; that is no news.
std::string standing_json(const Operation& operation) {
    return operation_json(operation, operation.created, false);
}

} // namespace

void OperationFeed::note(const Operation& operation) {
    if (is_over(operation.state)) {
        stands_no_more(operation.id);
    } else {
        std::string plain = standing_json(operation);
        const auto known = standing().find(operation.id);
        if (known != standing().end() && known->second == plain) return;
        stands(operation.id, std::move(plain));
    }
    tell("operation", operation_json(operation, now(), false));
}

void OperationFeed::begin() {
    const std::vector<Operation> open = list_open();
    const auto newest = operations_.list({.limit = 1});
    newest_ = newest.empty() ? "" : newest.front().id;
    for (const Operation& operation : open) stands(operation.id, standing_json(operation));
}

void OperationFeed::follow() {
    const std::vector<Operation> open = list_open();
    std::set<std::string> still;
    for (const Operation& operation : open) still.insert(operation.id);
    std::vector<std::string> gone;
    for (const auto& [id, json] : standing())
        if (!still.contains(id)) gone.push_back(id);
    for (const std::string& id : gone) {
        if (const auto operation = operations_.find(id)) {
            note(*operation);
        } else {
            stands_no_more(id);
        }
    }
    // Those that came and went since the last look are not among the open ones.
    const std::vector<Operation> recent = list_new();
    for (auto operation = recent.rbegin(); operation != recent.rend(); ++operation) {
        newest_ = operation->id;
        if (!still.contains(operation->id)) note(*operation);
    }
    for (auto operation = open.rbegin(); operation != open.rend(); ++operation) note(*operation);
}

// However many, newest first.
std::vector<Operation> OperationFeed::list_open() {
    OperationFilter filter{.states = {OperationState::queued, OperationState::running}, .limit = most_read};
    std::vector<Operation> open = operations_.list(filter);
    for (std::size_t read = open.size(); read == most_read;) {
        filter.before = open.back().id;
        auto part = operations_.list(filter);
        read = part.size();
        std::ranges::move(part, std::back_inserter(open));
    }
    return open;
}

// Those since the last look, newest first.
std::vector<Operation> OperationFeed::list_new() {
    OperationFilter filter{.limit = most_new_read};
    std::vector<Operation> recent;
    for (;;) {
        auto part = operations_.list(filter);
        for (Operation& operation : part) {
            if (operation.id <= newest_) return recent;
            recent.push_back(std::move(operation));
        }
        if (part.size() < most_new_read) return recent;
        filter.before = recent.back().id;
    }
}

} // namespace holdfast::api
