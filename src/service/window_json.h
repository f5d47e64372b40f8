// The times that can be recovered, and the gaps between them, as programs see them: the same with --json and
// from the server.
#pragma once

#include "postgres/receive/receive_state.h"
#include "postgres/recovery/recovery_window.h"
#include "service/exposure.h"

#include <optional>

#include <nlohmann/json_fwd.hpp>

namespace holdfast {

nlohmann::json to_json(const postgres::LogFork& fork);
nlohmann::json to_json(const postgres::RecoveryWindow& window);
// What belongs to a window beside it, as further members of its object: what is not stored yet, and for how
// many `seconds`, or why that is not known; and what a receiver says of itself.
void add_exposure(nlohmann::json& value, const Exposure& exposure, const std::optional<double>& seconds);
void add_receiver(nlohmann::json& value, const postgres::ReceiveState& receiver);

} // namespace holdfast
