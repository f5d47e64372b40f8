// The tables of the catalog, and how older ones become them.
#pragma once

#include "catalog/database.h"

namespace holdfast {

// Brings the tables to what this version needs, step by step, all or nothing. Does nothing when they are.
// Throws Error(incompatible) when they are of a newer version.
void migrate(Database& database);

// What the newest step makes of them.
std::int64_t catalog_version();

} // namespace holdfast
