// Which channels are told of what, and in which order.
#pragma once

#include "watch/severity.h"

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast {

// What a channel takes.
struct Route {
    std::string channel{};
    std::set<Severity> severities{};     // empty: all
    std::vector<std::string> rules{};    // names, with `*` for anything; empty: all
    std::vector<std::string> subjects{}; // likewise
    std::int64_t step = 1;               // its place in the chain
    bool tells_end = true;               // whether it is told of acknowledgements and ends

    // Of any subject and severity.
    bool takes_rule(std::string_view rule) const;
    bool takes(std::string_view rule, std::string_view subject, Severity severity) const;
};

class Routing {
  public:
    Routing() = default;
    explicit Routing(std::vector<Route> routes) : routes_(std::move(routes)) {}

    // The channels of that step that take it.
    std::vector<std::string> channels(std::string_view rule, std::string_view subject, Severity severity,
                                      std::int64_t step) const;
    // The first step after `step` with a channel that takes it; nothing when the chain has ended.
    std::optional<std::int64_t> step_after(std::string_view rule, std::string_view subject, Severity severity,
                                           std::int64_t step) const;
    bool tells_end(std::string_view channel) const;
    const std::vector<Route>& routes() const { return routes_; }

  private:
    std::vector<Route> routes_;
};

// Whether `text` is like `pattern`, in which `*` stands for anything.
bool matches_pattern(std::string_view pattern, std::string_view text);

} // namespace holdfast
