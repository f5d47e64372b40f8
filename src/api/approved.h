// What was approved, carried out: by who approves, or by another server when that one is lost.
#pragma once

#include "api/router.h"
#include "api/routes/routes.h"

#include <string>

namespace holdfast::api {

// Does it and keeps what came of it; returns that, as JSON: status, location and body. What it changes in the
// catalog is changed once. With status 503 or 504 nothing is kept: it is left for carry_out_left().
std::string carry_out_approved(Router& router, const RouteServices& services, const Approval& approval);

// The same for all that have no answer yet: their server was lost, or it could not be done at the time. What
// cannot be done any more, because it was approved long ago or its answer can be told to nobody, ends with an
// answer that says so. Returns how many there were. Throws what the catalog throws.
std::size_t carry_out_left(Router& router, const RouteServices& services);

} // namespace holdfast::api
