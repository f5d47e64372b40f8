// The route that tells until when each snapshot lives, and why.
#pragma once

#include "server/snapshot_routes.h"

namespace holdfast {

// /v1/retention/forecast. As add_snapshot_routes().
void add_retention_forecast_route(api::Router& router, const SnapshotServices& services);

} // namespace holdfast
