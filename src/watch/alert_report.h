// Alerts as JSON, for the API and the command line.
#pragma once

#include "watch/alerts.h"
#include "watch/channels/channel_settings.h"

#include <string>
#include <vector>

namespace holdfast {

// One alert with its history and what to do about it.
std::string alert_json(const Alert& alert, const std::vector<AlertEvent>& events);
// What lists show of it.
std::string brief_alert_json(const Alert& alert);
// {"items": […], "counts": {"critical": …, "high": …, "medium": …, "low": …, "total": …}, "next": id or null}
// `next` is what AlertFilter::before takes for the page behind this one; null when `alerts` are fewer than
// `limit`.
std::string alerts_json(const std::vector<Alert>& alerts, const std::map<Severity, std::int64_t>& counts,
                        std::size_t limit);
std::string silence_json(const Silence& silence);
std::string silences_json(const std::vector<Silence>& silences);
// All rules with what is in force of them.
std::string rules_json(const RuleBook& rules);
// Names, types and routes, and how they do; no secret, and no address that is one.
std::string channels_json(const std::vector<ChannelSettings>& channels,
                          const std::vector<ChannelState>& states);

} // namespace holdfast
