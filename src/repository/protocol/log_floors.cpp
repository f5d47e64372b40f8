#include "repository/protocol/log_floors.h"

#include <algorithm>

namespace holdfast {

void raise_floors(LogFloors& floors, const LogFloors& other) {
    for (const auto& [log, position] : other) {
        std::uint64_t& floor = floors[log];
        floor = std::max(floor, position);
    }
}

} // namespace holdfast
