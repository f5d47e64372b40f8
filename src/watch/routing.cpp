#include "watch/routing.h"

#include <algorithm>

namespace holdfast {

bool matches_pattern(std::string_view pattern, std::string_view text) {
    std::size_t p = 0, t = 0;
    std::size_t star = std::string_view::npos, star_text = 0;
    while (t < text.size()) {
        if (p < pattern.size() && pattern[p] == '*') {
            star = p++;
            star_text = t;
        } else if (p < pattern.size() && pattern[p] == text[t]) {
            ++p;
            ++t;
        } else if (star != std::string_view::npos) {
            // The last star takes one more.
            p = star + 1;
            t = ++star_text;
        } else {
            return false;
        }
    }
    while (p < pattern.size() && pattern[p] == '*') ++p;
    return p == pattern.size();
}

namespace {

bool any_matches(const std::vector<std::string>& patterns, std::string_view text) {
    return patterns.empty() || std::ranges::any_of(patterns, [&](const std::string& pattern) {
               return matches_pattern(pattern, text);
           });
}

} // namespace

bool Route::takes_rule(std::string_view rule) const { return any_matches(rules, rule); }

bool Route::takes(std::string_view rule, std::string_view subject, Severity severity) const {
    return (severities.empty() || severities.contains(severity)) && takes_rule(rule) &&
           any_matches(subjects, subject);
}

std::vector<std::string> Routing::channels(std::string_view rule, std::string_view subject, Severity severity,
                                           std::int64_t step) const {
    std::vector<std::string> names;
    for (const Route& route : routes_)
        if (route.step == step && route.takes(rule, subject, severity)) names.push_back(route.channel);
    return names;
}

std::optional<std::int64_t> Routing::step_after(std::string_view rule, std::string_view subject,
                                                Severity severity, std::int64_t step) const {
    std::optional<std::int64_t> next;
    for (const Route& route : routes_)
        if (route.step > step && (!next || route.step < *next) && route.takes(rule, subject, severity))
            next = route.step;
    return next;
}

bool Routing::tells_end(std::string_view channel) const {
    const auto at = std::ranges::find(routes_, channel, &Route::channel);
    return at != routes_.end() && at->tells_end;
}

} // namespace holdfast
