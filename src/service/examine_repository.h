// Whether a repository takes what protecting a source brings, and how to mend what is amiss.
#pragma once

#include "postgres/server/doctor.h"
#include "repository/repository.h"

#include <stop_token>
#include <string>
#include <vector>

namespace holdfast {

// Puts small objects below "probe/" and removes them; looks at the holder's role, at room and at the store's
// clock. A store that refuses is a failed check; throws Error(cancelled) alone.
std::vector<postgres::Check> examine_repository(Repository& repository, const std::stop_token& stop);

// The place on this machine where what belongs to a source waits, and what a receiver that reports there says
// of itself. Nothing is made.
std::vector<postgres::Check> examine_spool(const std::string& spool_directory,
                                           const std::string& receive_state, Timestamp now);

} // namespace holdfast
