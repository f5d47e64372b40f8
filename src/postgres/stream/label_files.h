// Files that a base backup has at its top and a data directory has not: how it is to be recovered.
#pragma once

#include <string_view>

namespace holdfast::postgres {

inline constexpr std::string_view label_file = "backup_label";
inline constexpr std::string_view tablespace_map_file = "tablespace_map";

inline bool is_label_file(std::string_view path) { return path == label_file || path == tablespace_map_file; }

} // namespace holdfast::postgres
