// Whether two slices that overlap are of the same log.
#pragma once

#include "postgres/recovery/recovery_source.h"

namespace holdfast::postgres {

// By their digests, where they have the same range; else by the last pages with something in them that both
// have. Throws what the source's functions throw.
bool have_same_bytes(const RecoverySource& source, const LogSliceId& a, const LogSliceId& b);

} // namespace holdfast::postgres
