// Where the live frames of a pack went that a collector rewrote (docs/format.md, section 5).
#pragma once

#include "repository/ids.h"
#include "store/store.h"

#include <string>
#include <vector>

namespace holdfast {

// The body of moved/<pack>: JSON. Throws Error(corrupt).
Bytes encode_moved(const std::vector<PackId>& targets);
std::vector<std::string> decode_moved(ByteView json);

// The names of the packs, none when the pack was not moved. Throws Error(corrupt) when what says so is
// malformed. Its signature is not looked at: frames prove themselves, wherever they are found.
std::vector<std::string> read_moved(Store& store, const PackId& pack);

} // namespace holdfast
