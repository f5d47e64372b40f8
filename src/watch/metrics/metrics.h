// Everything that is exported for Prometheus.
#pragma once

#include "watch/alerts.h"
#include "watch/facts.h"

#include <map>
#include <string>
#include <vector>

namespace holdfast {

// What the monitor knows beside the facts.
struct MonitorNumbers {
    std::string server{};
    bool catalog_answers = false; // without it the rest is empty
    std::map<Severity, std::int64_t> open_alerts{};
    std::vector<Alert> firing{}; // and acknowledged
    std::vector<ChannelState> channels{};
    struct SelfTest {
        std::string rule{};
        Timestamp time{};
        bool passed = false;
    };
    std::vector<SelfTest> self_tests{};
};

struct MetricDescription {
    std::string_view name;
    bool is_counter = false;
    std::string_view labels; // "source", "source, kind" …
    std::string_view help;
};

// All that metrics_text() may export, in its order.
const std::vector<MetricDescription>& all_metrics();

// Serve it as "text/plain; version=0.0.4; charset=utf-8". What was not measured is left out.
std::string metrics_text(const Facts& facts, const MonitorNumbers& numbers, const RuleBook& rules);
inline constexpr const char* metrics_media_type = "text/plain; version=0.0.4; charset=utf-8";

} // namespace holdfast
