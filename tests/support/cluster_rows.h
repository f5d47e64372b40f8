// What all tables of a cluster hold, as a few words for each, for comparing it with another moment or server.
#pragma once

#include "support/postgres_server.h"

#include <map>
#include <string>
#include <vector>

namespace holdfast::test {

// By "database/schema.table": the number of rows and a digest of them, whatever their order. Logged tables of
// all databases that can be connected to, without the server's own; beside them large objects, prepared
// transactions and the names of relations. Not a snapshot: the cluster should be at rest.
using ClusterRows = std::map<std::string, std::string>;
ClusterRows cluster_rows(const PostgresServer& server);

// What differs, a line for each; empty when nothing does.
std::string row_difference(const ClusterRows& expected, const ClusterRows& is);

// The names of databases that can be connected to.
std::vector<std::string> databases_of(const PostgresServer& server);

// Ends all prepared transactions.
void roll_back_prepared(const PostgresServer& server);

// Rows of unlogged tables, which a recovered cluster must not have; and what pg_check_visible and
// pg_check_frozen find, in databases that have the extension. A line for each; empty when there is nothing.
std::string unlogged_rows(const PostgresServer& server);
std::string wrong_visibility(const PostgresServer& server);

} // namespace holdfast::test
