#include "repository/log/proven_path.h"

#include "base/at_once.h"
#include "base/error.h"

#include <algorithm>
#include <mutex>

namespace holdfast {

namespace {

constexpr unsigned requests_at_once = 16;

// Whether it says something of the slice, not of the way to it.
bool is_of_the_slice(const Error& error) {
    return error.code() == ErrorCode::corrupt || error.code() == ErrorCode::access_denied ||
           error.code() == ErrorCode::incompatible || error.code() == ErrorCode::not_found;
}

} // namespace

void ProvenPaths::prove(const std::vector<std::string>& names, const CallOptions& call) {
    std::mutex mutex;
    for_each_at_once(names, requests_at_once, call.stop,
                     [&](const std::string& name, const std::stop_token& stop) {
                         const LogSliceId slice = *LogSliceId::from_name(name);
                         bool counts = true;
                         try {
                             reader_.check_beginning(slice, {.timeout = call.timeout, .stop = stop});
                         } catch (const Error& error) {
                             if (!is_of_the_slice(error)) throw;
                             counts = false;
                         }
                         const std::scoped_lock lock(mutex);
                         (counts ? proven_ : refused_).insert(slice);
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
