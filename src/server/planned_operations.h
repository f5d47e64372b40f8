// What is asked for by the clock.
#pragma once

#include "execution/plan_runner.h"
#include "policy/policy.h"
#include "server/server_settings.h"
#include "service/measure.h"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace holdfast {

// Of each source that is backed up from here, when its newest snapshot was made; nothing when it has none.
using NewestSnapshots = std::map<std::string, std::optional<Timestamp>>;

// The JSON of a request for what `plan` makes of a source of this kind.
std::string backup_request(const BackupPlan& plan, const std::string& kind);

// The plans of the policies for `sources`, and the server's own. `newest` is what
// the repository says; nothing while it has not been asked: then what the catalog knows nothing of waits.
// For a source that policies contradict each other about there are none.
std::vector<PlannedOperation> planned_operations(const std::vector<Policy>& policies,
                                                 const std::vector<MeasuredSource>& sources,
                                                 const ServerSettings& settings,
                                                 const std::optional<NewestSnapshots>& newest);

} // namespace holdfast
