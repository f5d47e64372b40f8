// The routes of checklists.
#pragma once

#include "api/router.h"
#include "server/checklist_keeper.h"

namespace holdfast {

// What it refers to must outlive the router.
void add_checklist_routes(api::Router& router, ChecklistBook& book, const ChecklistKeeper& keeper,
                          Clock& clock);

} // namespace holdfast
