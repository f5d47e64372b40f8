// Logs that lead on no more: a snapshot that begins anew is asked for at once.
#pragma once

#include "base/log.h"
#include "catalog/operations.h"
#include "policy/policy.h"
#include "service/measure.h"

#include <string>
#include <vector>

namespace holdfast {

// The plan by which such backups are known in the catalog.
inline constexpr const char* new_base_plan = "new base";

// For each of `sources` whose log has a gap or cannot be followed on, behind its newest snapshot: a backup,
// as the first plan of its policy would make it, with the reason. What no policy backs up is left alone. The
// same gap, be it seen again and again, gives the same plan and nominal time: so it is asked for once.
std::vector<OperationRequest> new_bases(const ProtectionStatus& seen, const std::vector<Policy>& policies,
                                        const std::vector<MeasuredSource>& sources, Timestamp now);

// Asks for those of them whose source is not being backed up anyway; how many. Throws what the catalog
// throws.
std::size_t ask_for_new_bases(Operations& operations, const std::vector<OperationRequest>& wanted,
                              Logger& logger);

} // namespace holdfast
