// The routes of alerts, silences, channels and metrics.
#pragma once

#include "api/routes/routes.h"
#include "watch/watch.h"

#include <vector>

namespace holdfast {

struct AlertServices {
    Watch& watch;
    Operations& operations;
    Audit& audit;
    const std::vector<ChannelSettings>& channels;
};

// What it refers to must outlive the router.
void add_alert_routes(api::Router& router, const AlertServices& services);

} // namespace holdfast
