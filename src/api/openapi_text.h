// The contract, openapi.yaml, as it is built into the program.
#pragma once

#include <string_view>

namespace holdfast::api {

std::string_view openapi_text();

} // namespace holdfast::api
