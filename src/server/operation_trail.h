// Operations in the audit trail: what was asked for, by whom, begun when and on which server, and what came
// of it.
#pragma once

#include "catalog/audit.h"
#include "catalog/operations.h"

#include <string>

namespace holdfast {

// What enters "operation.begin" and "operation.end" into the trail, in the transaction in which that happens,
// in the name of who asked for the operation. `restore_directory` is where restores of this server go.
// `audit` must outlive it.
OperationHooks operations_in_trail(Audit& audit, std::string restore_directory);

} // namespace holdfast
