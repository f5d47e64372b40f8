#include "api/operation_json.h"

#include "base/json_text.h"

#include <algorithm>
#include <cmath>

#include <nlohmann/json.hpp>

namespace holdfast::api {

namespace {

using Json = nlohmann::ordered_json;

Json time_of(const std::optional<Timestamp>& time) { return time ? Json(to_rfc3339(*time)) : Json(); }

template <typename Value>
Json value_of(const std::optional<Value>& value) {
    return value ? Json(*value) : Json();
}

// What we wrote ourselves is JSON; anything else is shown as the text that it is.
Json read_back(const std::optional<std::string>& text) {
    if (!text) return {};
    Json value = Json::parse(*text, nullptr, false);
    return value.is_discarded() ? Json(*text) : value;
}

double share_of(const OperationProgress& progress) {
    const bool bytes = progress.total_bytes > 0;
    const std::uint64_t total = bytes ? progress.total_bytes : progress.total_items;
    const std::uint64_t done = std::min(total, bytes ? progress.done_bytes : progress.done_items);
    return total == 0 ? 0 : static_cast<double>(done) / static_cast<double>(total);
}

// Below 100 until it is done: what is read may still be on its way to the store, and totals are often those
// of the time before.
Json percent_of(const Operation& operation) {
    constexpr double most = 99.9;
    if (operation.state == OperationState::succeeded || operation.state == OperationState::incomplete)
        return 100.0;
    const OperationProgress& progress = operation.progress;
    if (progress.total_bytes == 0 && progress.total_items == 0) return {};
    return std::min(most, std::floor(share_of(progress) * 1000) / 10);
}

Json estimate_of(const Operation& operation, Timestamp now) {
    const double share = share_of(operation.progress);
    // With all of it read nothing is known of how long the rest takes.
    if (operation.state != OperationState::running || !operation.started || share <= 0 || share >= 1)
        return {};
    const double elapsed = std::chrono::duration<double>(now - *operation.started).count();
    const double left = std::clamp(elapsed * (1 - share) / share, 0.0, 1e9);
    return {{"ends", to_rfc3339(now + std::chrono::seconds(static_cast<std::int64_t>(left)))},
            {"seconds_left", static_cast<std::int64_t>(left)},
            {"basis", operation.progress.total_bytes > 0 ? "bytes done since it started"
                                                         : "items done since it started"}};
}

} // namespace

std::string operation_json(const Operation& operation, Timestamp now, bool with_details) {
    const OperationProgress& progress = operation.progress;
    Json json{{"id", operation.id},
              {"kind", operation.kind},
              {"source", value_of(operation.source)},
              {"state", to_string(operation.state)},
              {"phase", progress.phase},
              {"percent", percent_of(operation)},
              {"done_bytes", progress.done_bytes},
              {"total_bytes", progress.total_bytes},
              {"done_items", progress.done_items},
              {"total_items", progress.total_items},
              {"estimate", estimate_of(operation, now)},
              {"requested_by", operation.requested_by},
              {"plan", value_of(operation.plan)},
              {"nominal", time_of(operation.nominal)},
              {"created", to_rfc3339(operation.created)},
              {"run_after", to_rfc3339(operation.run_after)},
              {"started", time_of(operation.started)},
              {"ended", time_of(operation.ended)},
              {"attempts", operation.attempts},
              {"failures", operation.failures},
              {"interruptions", operation.interruptions},
              {"server", value_of(operation.owner)},
              {"cancel_requested", operation.cancel_requested}};
    if (with_details) {
        json["request"] = read_back(operation.request);
        json["result"] = read_back(operation.result);
        json["error"] = read_back(operation.error);
    }
    return json_text(json);
}

} // namespace holdfast::api
