// What holdfast.toml says of rules and channels.
#pragma once

#include "watch/channels/channel_settings.h"
#include "watch/rule.h"

#include <map>
#include <string>
#include <vector>

namespace holdfast {

// Of [alert.NAME], as JSON by name. Throws what parse_rule_settings() throws.
RuleBook read_rules(const std::map<std::string, std::string>& json);
// Of [channel.NAME], as JSON by name. Throws what parse_channel() throws.
std::vector<ChannelSettings> read_channels(const std::map<std::string, std::string>& json);

} // namespace holdfast
