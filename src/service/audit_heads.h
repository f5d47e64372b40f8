// Heads of the audit trail, kept in the repository: whoever writes the catalog anew cannot write those anew.
#pragma once

#include "catalog/audit.h"
#include "repository/protocol/statement.h"
#include "repository/repository.h"

#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace holdfast {

// A trail is known by the digest of its first entry. Heads are marks, signed by who keeps them, about a
// source of this name, which no snapshot is of.
inline constexpr const char* audit_source = "holdfast audit";

// Throws what put_statement() throws.
void keep_audit_head(Repository& repository, const std::string& first_digest, const AuditHead& head);
// Whether the trail is as it was written, and fits the heads that were kept of it among `statements`; one
// that is damaged or unreadable is not among them. As `holdfast audit verify --json` and GET /v1/audit/verify
// say it: "intact", "entries", "head", "heads_compared", "problems", and "other_trails", by their first
// digests, that heads were kept of beside this one.
nlohmann::json verify_trail(Audit& audit, const std::vector<Statement>& statements);

} // namespace holdfast
