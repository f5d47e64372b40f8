// All locks of the catalog, whoever takes them: none may have the number of another.
#pragma once

#include <cstdint>

namespace holdfast {

// Numbers stay as they are: servers of two versions may share a catalog for a while. 0x686f'6c64 tells them
// from locks of others in the same database.
enum class CatalogLock : std::int64_t {
    migration = 0x686f'6c64'0001,
    operation_claim = 0x686f'6c64'0002,
    audit = 0x686f'6c64'0003,
    operation_log = 0x686f'6c64'0004,
    tokens = 0x686f'6c64'0005,
    schema = 0x686f'6c64'0006,
    policies = 0x686f'6c64'0007,
    alerts = 0x686f'6c64'0010,
    notices = 0x686f'6c64'0011,
};

} // namespace holdfast
