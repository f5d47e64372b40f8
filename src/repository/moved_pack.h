// Where the live frames of a pack went that a collector rewrote (docs/format.md, section 5).
#pragma once

#include "repository/ids.h"
#include "repository/key_ring.h"
#include "store/store.h"

#include <string>
#include <vector>

namespace holdfast {

// The names of the packs, none when the pack was not moved.
std::vector<std::string> read_moved(Store& store, const KeyRing& keys, const PackId& pack);

} // namespace holdfast
