// From answers to exceptions, for who cannot go on without the value.
#pragma once

#include "documents/result.h"

#include <type_traits>
#include <utility>

namespace holdfast {

// The value; throws the error when there is none.
template <typename Value>
Value value_of(Result<Value> result) {
    if (!result) throw result.error();
    if constexpr (!std::is_void_v<Value>) return std::move(*result);
}

} // namespace holdfast
