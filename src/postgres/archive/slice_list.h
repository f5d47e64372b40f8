// Slices as a text, by which a restore tells wal fetch which of an archive it may use: where two servers have
// written the same positions, a recovery must not mix their logs.
#pragma once

#include "repository/ids.h"

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast::postgres {

// A line each: the object's name.
std::string write_slice_list(std::span<const LogSliceId> slices);
// Sorted. Throws Error(corrupt) for what the other did not write; `what` names it in messages.
std::vector<LogSliceId> parse_slice_list(std::string_view text, std::string_view what);

} // namespace holdfast::postgres
