// The version of the program, from CMakeLists.txt.
#pragma once

#include <string_view>

namespace holdfast {

inline constexpr std::string_view program_version = HOLDFAST_VERSION;

} // namespace holdfast
