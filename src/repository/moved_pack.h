// Where the live frames of a pack went that a collector rewrote (docs/format.md, section 5).
#pragma once

#include "repository/ids.h"
#include "store/store.h"

#include <functional>
#include <string>
#include <vector>

namespace holdfast {

// How often frames may have moved from pack to pack; whoever follows gives up behind it
// (docs/decisions/0002).
inline constexpr unsigned most_moves = 64;

// The body of moved/<pack>: JSON. Throws Error(corrupt).
Bytes encode_moved(const std::vector<PackId>& targets);
std::vector<std::string> decode_moved(ByteView json);

// Whether notes lead from a pack that is gone to one that `is_there`. One that cannot be read leads nowhere.
bool moves_lead(Store& store, const PackId& gone, const std::function<bool(const PackId&)>& is_there);

// The names of the packs, none when the pack was not moved. Throws Error(corrupt) when what says so is
// malformed. Its signature is not looked at: frames prove themselves, wherever they are found.
std::vector<std::string> read_moved(Store& store, const PackId& pack);

} // namespace holdfast
