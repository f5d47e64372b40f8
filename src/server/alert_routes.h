// The routes of alerts, silences, channels and metrics.
#pragma once

#include "api/routes/routes.h"
#include "watch/watch.h"

#include <functional>
#include <memory>

namespace holdfast {

struct AlertServices {
    std::function<std::shared_ptr<Watch>()> watch; // the one of now
    Operations& operations;
    Audit& audit;
    Clock& clock;
    Duration feed_interval = std::chrono::seconds(1); // how often those who listen have the catalog looked at
};

// What it refers to must outlive the router.
void add_alert_routes(api::Router& router, const AlertServices& services);

} // namespace holdfast
