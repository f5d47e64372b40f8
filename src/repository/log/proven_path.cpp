#include "repository/log/proven_path.h"

#include "base/at_once.h"

#include <algorithm>
#include <mutex>

namespace holdfast {

namespace {

constexpr unsigned requests_at_once = 16;

} // namespace

void ProvenPaths::prove(const std::vector<std::string>& names, const CallOptions& call) {
    std::mutex mutex;
    for_each_at_once(names, requests_at_once, call.stop,
                     [&](const std::string& name, const std::stop_token& stop) {
                         const LogSliceId slice = *LogSliceId::from_name(name);
                         const bool good = reader_.counts(slice, {.timeout = call.timeout, .stop = stop});
                         const std::scoped_lock lock(mutex);
                         (good ? proven_ : refused_).insert(slice);
                     });
}

std::vector<PathStep> ProvenPaths::find(std::vector<LogSliceId> slices, const LogRange& range,
                                        const CallOptions& call) {
    for (;;) {
        std::erase_if(slices, [&](const LogSliceId& slice) { return refused_.contains(slice); });
        std::vector<PathStep> path = find_path(slices, range);
        std::vector<std::string> unproven;
        for (const PathStep& step : path) {
            if (!proven_.contains(step.slice)) unproven.push_back(step.slice.name());
        }
        if (unproven.empty()) return path;
        prove(unproven, call);
    }
}

} // namespace holdfast
