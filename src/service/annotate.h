// What is said of snapshots after they were made: tags, holds and verifications.
#pragma once

#include "repository/protocol/statement.h"
#include "repository/repository.h"

#include <map>
#include <set>
#include <string>
#include <vector>

namespace holdfast {

// A snapshot and what the statements make of it.
struct AnnotatedSnapshot {
    Snapshot snapshot;
    Standing standing;
};
struct AnnotatedList {
    std::vector<AnnotatedSnapshot> snapshots; // oldest first
    StatementList statements;
    std::size_t unreadable = 0;        // commits that this key cannot read
    std::vector<std::string> problems; // of snapshots and of statements
};
AnnotatedList list_annotated(Repository& repository);

// The verification that says how the snapshot stands: the last one; but what was found damaged stays so until
// somebody has looked at all of it, as closely, and found it intact. Null when it was never verified.
const Statement* standing_verification(const Standing& standing);
bool is_damaged(const Standing& standing);

// The time for a statement that is to count from now on, also where somebody's clock was ahead: of statements
// about one thing the later counts.
Timestamp behind_all(Repository& repository, const StatementList& list);
// Throws Error(access_denied) when this key slot may not write such objects, that is, not do `what`.
void require_may(Repository& repository, ObjectKind kind, const char* what);

// Each of these throws Error(access_denied) when this key slot may say nothing.

// Whether the tag decides until when its snapshot lives.
bool lets_go(const std::string& tag);
// Sets tags, and takes away those named in `removed`. Throws Error(usage), and says nothing, when a value
// makes no sense for a tag that means something here (service/retention.h).
void set_tags(Repository& repository, const Snapshot& snapshot,
              const std::map<std::string, std::string>& tags, const std::vector<std::string>& removed);
// The same check alone, for tags that a snapshot is about to be made with.
void require_sensible_tags(const std::map<std::string, std::string>& tags);

// From now on the snapshot is not forgotten, by rules or by hand. Returns the hold; where its owner holds the
// snapshot for the same reason already, that one, and nothing more is said.
Statement hold_snapshot(Repository& repository, const Snapshot& snapshot, const std::string& reason,
                        const std::string& owner);
// By which one hold among several is meant: unique in its repository.
std::string hold_id(const Statement& hold);
// Those of `holds` that were said of a snapshot, not of its whole source, and are meant by `which`: an owner,
// or the id of one; empty: all.
std::vector<Statement> holds_meant(const std::vector<Statement>& holds, const std::string& which);
// Nobody ends the hold of somebody else by accident: throws Error(usage) for more than one of `owners`; "" is
// the owner of those that name none.
void require_one_owner(const std::string& snapshot, const std::set<std::string>& owners);
// Ends these holds of the snapshot, which stand.
void end_holds(Repository& repository, const Snapshot& snapshot, const std::vector<Statement>& holds,
               const std::string& reason);
// Ends the holds of the snapshot that `which` means; returns those that were ended. Throws Error(usage) when
// several owners hold it and `which` is empty; needs the right to forget snapshots, as setting `class` and
// `expires` does. `reason` is kept with the end of each.
std::vector<Statement> release_holds(Repository& repository, const Snapshot& snapshot,
                                     const std::string& which, const std::string& reason);

} // namespace holdfast
