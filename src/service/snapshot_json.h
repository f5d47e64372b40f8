// Snapshots as programs see them: the same with --json and from the server.
#pragma once

#include "service/annotate.h"

#include <nlohmann/json_fwd.hpp>

namespace holdfast {

// As it was made.
nlohmann::json to_json(const Snapshot& snapshot);
// As it stands now: with the tags that it has been given since, holds, and the verification that stands.
nlohmann::json to_json(const AnnotatedSnapshot& annotated);
// A hold on it.
nlohmann::json hold_json(const Snapshot& snapshot, const Statement& hold);
nlohmann::json holds_json(const Snapshot& snapshot, const std::vector<Statement>& holds);

} // namespace holdfast
