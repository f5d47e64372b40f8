#include "watch/watch_form.h"

namespace holdfast {

RuleBook read_rules(const std::map<std::string, std::string>& json) {
    std::map<std::string, RuleSettings, std::less<>> settings;
    for (const auto& [name, text] : json) settings[name] = parse_rule_settings(name, text);
    return RuleBook(std::move(settings));
}

std::vector<ChannelSettings> read_channels(const std::map<std::string, std::string>& json) {
    std::vector<ChannelSettings> channels;
    for (const auto& [name, text] : json) channels.push_back(parse_channel(name, text));
    return channels;
}

} // namespace holdfast
