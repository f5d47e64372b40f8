// The rules for names of objects, the same in every store.
#pragma once

#include <string>
#include <string_view>

namespace holdfast {

inline constexpr std::size_t largest_object_name_bytes = 512;

// Segments of [A-Za-z0-9._-] separated by single '/', no segment empty or beginning with '.', at most 512
// bytes.
bool is_object_name(std::string_view name);
// Throws Error(usage) unless `name` is one.
void check_object_name(std::string_view name);
// Throws Error(usage) unless some object name begins with `prefix`. The empty prefix is fine.
void check_object_prefix(std::string_view prefix);

} // namespace holdfast
