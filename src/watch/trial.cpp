#include "watch/trial.h"

#include <nlohmann/json.hpp>

namespace holdfast {

bool is_trial(const Operation& operation) {
    const auto request = nlohmann::json::parse(operation.request, nullptr, false);
    if (!request.is_object()) return true;
    // A null is as good as absent.
    const auto trial = request.find("dry_run");
    return trial != request.end() && !trial->is_null() && *trial != false;
}

} // namespace holdfast
