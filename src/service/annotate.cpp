#include "service/annotate.h"

#include "base/error.h"
#include "service/retention.h"

#include <algorithm>

#include <fmt/format.h>

namespace holdfast {

namespace {

Statement about(Repository& repository, const Snapshot& snapshot, StatementType type, std::string name) {
    if (!repository.trust().may_write(repository.keys().slot(), ObjectKind::statement, RunId{})) {
        throw Error(ErrorCode::access_denied, "this key slot may not say anything about snapshots",
                    "use a key slot of role full, read or prune");
    }
    Statement statement;
    statement.snapshot = snapshot.id;
    statement.type = type;
    statement.time = repository.clock().now();
    statement.name = std::move(name);
    return statement;
}

} // namespace

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
    std::vector<Statement> statements;
    for (const auto& [name, value] : tags) {
        statements.push_back(about(repository, snapshot, StatementType::tag, name));
        statements.back().value = value;
    }
    for (const std::string& name : removed)
        statements.push_back(about(repository, snapshot, StatementType::tag, name));
    for (const Statement& statement : statements) put_statement(repository.context(), statement);
}

StatementId hold_snapshot(Repository& repository, const Snapshot& snapshot, const std::string& reason,
                          const std::string& owner) {
    if (reason.empty())
        throw Error(ErrorCode::usage, "a hold needs a reason", "say why, for whoever finds it");
    Statement hold = about(repository, snapshot, StatementType::hold, reason);
    if (!owner.empty()) hold.value = owner;
    return put_statement(repository.context(), hold);
}

std::vector<Statement> release_holds(Repository& repository, const Snapshot& snapshot,
                                     const std::string& owner, const std::string& reason) {
    const StatementList statements = list_statements(repository.context());
    std::vector<Statement> released;
    for (const Statement& hold : standing_of(snapshot, statements.statements).holds) {
        if (!owner.empty() && hold.value != owner) continue;
        Statement release = about(repository, snapshot, StatementType::release, reason);
        release.releases = hold.id;
        put_statement(repository.context(), release);
        released.push_back(hold);
    }
    return released;
}

} // namespace holdfast
