// How functions answer that meet failures as a matter of course: one unreadable file does not end a backup.
#pragma once

#include "base/error.h"

#include <expected>

namespace holdfast {

// The value, or what went wrong. Error(not_found) means that the entry vanished.
template <typename Value>
using Result = std::expected<Value, Error>;

inline std::unexpected<Error> failed(int error_number, std::string_view what) {
    return std::unexpected<Error>(system_error(error_number, what));
}

} // namespace holdfast
