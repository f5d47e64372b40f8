#include "service/annotate.h"

#include "base/error.h"
#include "service/retention.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

namespace holdfast {

namespace {

Statement about(const Snapshot& snapshot, StatementType type, std::string name, Timestamp time) {
    Statement statement;
    statement.snapshot = snapshot.id;
    statement.type = type;
    statement.time = time;
    statement.name = std::move(name);
    return statement;
}

constexpr std::string_view damaged = "damaged";

// How much a verification has looked at. Of a part of the packs it says nothing of the others.
int thoroughness(const Statement& verification) {
    const bool part = verification.name.find(" of ") != std::string::npos;
    if (verification.name.starts_with("digests")) return part ? 1 : 3;
    if (verification.name.starts_with("content")) return part ? 1 : 2;
    return 0;
}

// Whether `next` takes the place of `before`.
bool outdoes(const Statement& next, const Statement& before) {
    if (before.value != damaged) return true;
    return thoroughness(next) >= thoroughness(before) && (next.value == damaged || thoroughness(next) != 1);
}

} // namespace

const Statement* standing_verification(const Standing& standing) {
    const Statement* stands = nullptr;
    for (const Statement& next : standing.verifications)
        if (stands == nullptr || outdoes(next, *stands)) stands = &next;
    return stands;
}

bool is_damaged(const Standing& standing) {
    const Statement* stands = standing_verification(standing);
    return stands != nullptr && stands->value == damaged;
}

bool lets_go(const std::string& tag) { return tag == class_tag || tag == expires_tag; }

Timestamp behind_all(Repository& repository, const StatementList& list) {
    Timestamp time = repository.clock().now();
    for (const Statement& statement : list.statements)
        time = std::max(time, statement.time + std::chrono::nanoseconds(1));
    return time;
}

void require_may(Repository& repository, ObjectKind kind, const char* what) {
    if (repository.trust().may_write(repository.keys().slot(), kind, RunId{})) return;
    throw Error(ErrorCode::access_denied, fmt::format("this key slot may not {}", what),
                kind == ObjectKind::forget ? "use a key slot of role full or prune"
                                           : "use a key slot of role full, read or prune");
}

AnnotatedList list_annotated(Repository& repository) {
    SnapshotList list = list_snapshots(repository.context());
    AnnotatedList annotated{.snapshots = {},
                            .statements = list_statements(repository.context()),
                            .unreadable = list.unreadable,
                            .problems = std::move(list.problems)};
    std::ranges::copy(annotated.statements.problems, std::back_inserter(annotated.problems));
    for (Snapshot& snapshot : list.snapshots) {
        Standing standing = standing_of(snapshot, annotated.statements.statements);
        annotated.snapshots.push_back({std::move(snapshot), std::move(standing)});
    }
    return annotated;
}

void require_sensible_tags(const std::map<std::string, std::string>& tags) {
    if (const auto expires = tags.find(expires_tag); expires != tags.end()) {
        try {
            from_rfc3339(expires->second);
        } catch (const Error& error) {
            throw error.with_context(fmt::format("the tag {}, the end of a time to live", expires_tag));
        }
    }
    const auto class_name = tags.find(class_tag);
    if (class_name != tags.end() && class_name->second.empty())
        throw Error(ErrorCode::usage, fmt::format("the tag {} is empty", class_tag), "take it away instead");
}

void set_tags(Repository& repository, const Snapshot& snapshot,
              const std::map<std::string, std::string>& tags, const std::vector<std::string>& removed) {
    require_sensible_tags(tags);
    require_may(repository, ObjectKind::statement, "say anything about snapshots");
    const bool decides = std::ranges::any_of(tags, [](const auto& tag) { return lets_go(tag.first); }) ||
                         std::ranges::any_of(removed, lets_go);
    if (decides) require_may(repository, ObjectKind::forget, "say until when snapshots live");
    const Timestamp time = behind_all(repository, list_statements(repository.context()));
    for (const auto& [name, value] : tags) {
        Statement statement = about(snapshot, StatementType::tag, name, time);
        statement.value = value;
        put_statement(repository.context(), statement);
    }
    for (const std::string& name : removed)
        put_statement(repository.context(), about(snapshot, StatementType::tag, name, time));
}

Statement hold_snapshot(Repository& repository, const Snapshot& snapshot, const std::string& reason,
                        const std::string& owner) {
    if (reason.empty())
        throw Error(ErrorCode::usage, "a hold needs a reason", "say why, for whoever finds it");
    require_may(repository, ObjectKind::statement, "say anything about snapshots");
    const StatementList statements = list_statements(repository.context());
    Statement hold = about(snapshot, StatementType::hold, reason, behind_all(repository, statements));
    if (!owner.empty()) hold.value = owner;
    const std::vector<Statement> standing = standing_of(snapshot, statements.statements).holds;
    const auto same = std::ranges::find_if(standing, [&](const Statement& other) {
        return other.snapshot && other.name == reason && other.value == hold.value;
    });
    hold.id = same != standing.end() ? same->id : put_statement(repository.context(), hold);
    if (same != standing.end()) hold = *same;
    // Who forgets looks at holds first, and may have looked before this one was there.
    const SnapshotList list = list_snapshots(repository.context());
    if (std::ranges::find(list.forgotten, snapshot.id) != list.forgotten.end()) {
        throw Error(ErrorCode::not_found,
                    fmt::format("{} was forgotten while it was to be held", snapshot.id.hex()),
                    "its data is there until the next 'holdfast prune': restore it now");
    }
    return hold;
}

std::string hold_id(const Statement& hold) {
    return statement_name(hold.id.slot, hold.id.number).substr(statements_prefix.size());
}

std::vector<Statement> holds_meant(const std::vector<Statement>& holds, const std::string& which) {
    std::vector<Statement> meant;
    for (const Statement& hold : holds)
        if (hold.snapshot && (which.empty() || hold.value == which || hold_id(hold) == which))
            meant.push_back(hold);
    return meant;
}

void require_one_owner(const std::string& snapshot, const std::set<std::string>& owners) {
    if (owners.size() > 1)
        throw Error(ErrorCode::usage, fmt::format("{} is held by {} owners", snapshot, owners.size()),
                    "say whose holds end with --owner");
}

void end_holds(Repository& repository, const Snapshot& snapshot, const std::vector<Statement>& holds,
               const std::string& reason) {
    require_may(repository, ObjectKind::forget, "release what is held");
    const Timestamp time = behind_all(repository, list_statements(repository.context()));
    for (const Statement& hold : holds) {
        Statement release = about(snapshot, StatementType::release, reason, time);
        release.releases = hold.id;
        put_statement(repository.context(), release);
    }
}

std::vector<Statement> release_holds(Repository& repository, const Snapshot& snapshot,
                                     const std::string& which, const std::string& reason) {
    const std::vector<Statement> chosen =
        holds_meant(standing_of(snapshot, list_statements(repository.context()).statements).holds, which);
    std::set<std::string> owners;
    for (const Statement& hold : chosen) owners.insert(hold.value.value_or(""));
    if (which.empty()) require_one_owner(snapshot.id.hex(), owners);
    end_holds(repository, snapshot, chosen, reason);
    return chosen;
}

} // namespace holdfast
