// An operation of a server, followed until it is over.
#pragma once

#include "base/error.h"
#include "base/progress.h"
#include "client/api_client.h"

#include <functional>
#include <stop_token>
#include <string>

#include <nlohmann/json_fwd.hpp>

namespace holdfast {

struct FollowSettings {
    // How long the server may be away in a row.
    Duration patience = std::chrono::minutes(10);
    // Called when it does not answer, once for each absence.
    std::function<void(const Error& why)> on_away{};
};

// Asks how far the operation is, a second apart at most, into `progress`, and returns it with its result when
// it is over. Throws Error(cancelled) after `stop`, which leaves the operation as it is, and what the client
// throws when the server refuses to tell, or is away for longer than that.
nlohmann::json follow_operation(ApiClient& api, const std::string& id, const FollowSettings& settings,
                                Progress& progress, const std::stop_token& stop);

// Whether an operation in this state (as the API names it) is over.
bool is_over_state(const std::string& state);

} // namespace holdfast
