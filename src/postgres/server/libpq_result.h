// Taking results of libpq apart; for the sources of this folder that speak the replication protocol.
#pragma once

#include "postgres/server/connection.h"

namespace holdfast::postgres {

// What an error result says.
ServerMessage message_of(const pg_result* result);
// All rows, as text.
QueryResult rows_of(const pg_result* result);

} // namespace holdfast::postgres
