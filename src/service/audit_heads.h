// Heads of the audit trail, kept in the repository: whoever writes the catalog anew cannot write those anew.
#pragma once

#include "catalog/audit.h"
#include "repository/protocol/statement.h"
#include "repository/repository.h"

#include <set>
#include <string>
#include <vector>

namespace holdfast {

// A trail is known by the digest of its first entry. Heads are marks, signed by who keeps them, about a
// source of this name, which no snapshot is of.
inline constexpr const char* audit_source = "holdfast audit";

// Throws what put_statement() throws.
void keep_audit_head(Repository& repository, const std::string& first_digest, const AuditHead& head);
// Those that were kept of the trail, in no order. One that is damaged or unreadable is not among them.
std::vector<AuditHead> kept_audit_heads(const std::vector<Statement>& statements,
                                        const std::string& first_digest);
// By their first digests, the trails that heads were kept of beside this one.
std::set<std::string> other_trails(const std::vector<Statement>& statements, const std::string& first_digest);

} // namespace holdfast
