// What is said about snapshots and sources after they were made: holds, tags, marks, verifications; and by
// which policies they are kept (docs/format.md, section 9). Statements are never changed; a later one takes
// an earlier one back.
#pragma once

#include "base/clock.h"
#include "repository/protocol/context.h"
#include "repository/protocol/snapshot.h"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace holdfast {

enum class StatementType {
    hold,         // the snapshot must not be forgotten; `name` says why
    release,      // the end of one hold
    tag,          // sets the tag `name` to `value`, or takes it away when there is none
    mark,         // as a tag, for programs: what `name` means is theirs
    verification, // `name` says what was done, `value` how it came out
    policy, // the policy `name` is `value` from now on (policy/policy_form.h), or there is none any more
};
std::string_view to_string(StatementType type);

// Who said something, and as his how manyth statement, from 0.
struct StatementId {
    SlotId slot;
    std::uint32_t number = 0;
    auto operator<=>(const StatementId&) const = default;
};

struct Statement {
    StatementId id;
    // About exactly one of these; a policy, which says itself what it is about, about neither. A statement
    // about a source holds for all of its snapshots.
    std::optional<RunId> snapshot;
    std::optional<std::string> source;
    StatementType type = StatementType::tag;
    Timestamp time{};
    // Of the statement before it by the same slot; nothing for the first.
    std::optional<FixedBytes<32>> previous;
    std::string name;
    std::optional<std::string> value;
    std::optional<StatementId> releases; // the hold; only for a release
    bool operator==(const Statement&) const = default;
};

// JSON, as the body of statements/<slot>-<number>. decode throws Error(corrupt).
Bytes encode_statement(const Statement& statement);
Statement decode_statement(ByteView json, const StatementId& id);

// All statements, by slot and number. What is damaged, signed by nobody trusted, missing from a slot's chain
// or not known to this program is left out and named in `problems`, each of which begins with the name of the
// object and a colon.
//
// The release of a hold and a policy count only from who may forget snapshots: else a key that can only read
// could undo what keeps them.
struct StatementList {
    std::vector<Statement> statements;
    std::vector<std::string> problems;
    // Those of the problems behind which there may be a hold, or a policy: damaged statements, and missing
    // ones.
    std::vector<std::string> damaged;
    std::uint64_t unreadable = 0; // beyond the keys that are held
};
StatementList list_statements(const RepositoryContext& context);
// Throws when a hold or a policy may be among what cannot be read of `list`: Error(wrong_key),
// Error(corrupt).
void require_all_statements(const StatementList& list);

// Says it: gives `statement` the next number of our slot and its predecessor, puts it, and returns its id.
// Throws Error(usage) when it contradicts itself.
StatementId put_statement(const RepositoryContext& context, Statement statement);

// Of each policy that there is the statement that counts, by name: of several the later in time, then the one
// with the higher id.
std::vector<Statement> standing_policies(const std::vector<Statement>& statements);

// What the statements make of one snapshot.
struct Standing {
    std::map<std::string, std::string> tags;
    std::map<std::string, std::string> marks;
    std::vector<Statement> holds; // that were not released
    std::vector<Statement> verifications;
};
// Of two statements that set the same tag or mark, the later in time counts, then the one with the higher id.
Standing standing_of(const Snapshot& snapshot, const std::vector<Statement>& statements);

} // namespace holdfast
