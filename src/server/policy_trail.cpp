#include "server/policy_trail.h"

#include "base/error.h"

#include <fmt/format.h>

namespace holdfast {

void PolicyTrail::took_effect(const std::string& changes) {
    kept_.push_back(fmt::format(R"({{"policies":{},"time":"{}"}})", changes, to_rfc3339(clock_.now())));
    catch_up();
}

void PolicyTrail::catch_up() {
    try {
        while (!kept_.empty()) {
            // Whoever has edited the file and had it applied from a command line is not known.
            audit_.append("server", "configuration.in_effect", "holdfast.toml", kept_.front());
            kept_.pop_front();
        }
    } catch (const Error& error) {
        logger_.warning("policies that took effect are not in the audit trail yet",
                        {{"reason", error.message()}});
    }
}

} // namespace holdfast
