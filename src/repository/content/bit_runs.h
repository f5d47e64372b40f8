// Stretches of equal values.
#pragma once

#include <cstddef>
#include <vector>

namespace holdfast {

// Calls `take(begin, end, value)` for each stretch of equal values.
template <typename Take>
void for_each_run(const std::vector<bool>& values, Take&& take) {
    for (std::size_t begin = 0; begin < values.size();) {
        std::size_t end = begin + 1;
        while (end < values.size() && values[end] == values[begin]) ++end;
        take(begin, end, values[begin]);
        begin = end;
    }
}

} // namespace holdfast
