// Printing for people.
#pragma once

#include "base/terminal_text.h"

#include <cstdio>
#include <string>
#include <type_traits>

#include <fmt/format.h>

namespace holdfast {

// What is no number as a text that is harmless.
template <typename T>
auto as_said(const T& value) {
    if constexpr (std::is_arithmetic_v<T>) {
        return value;
    } else {
        return harmless(fmt::vformat("{}", fmt::make_format_args(value)));
    }
}

template <typename T>
using Said = decltype(as_said(std::declval<const T&>()));

// As fmt::print does, with every argument made harmless to a terminal: whoever can write to a repository
// chooses names in it, and must not steer the terminal of whoever lists them. A line break belongs into
// `format`. For JSON, and for text of ours with more than one line, there is fmt::print.
template <typename... Args>
void say(std::FILE* stream, fmt::format_string<Said<Args>...> format, const Args&... arguments) {
    fmt::print(stream, format, as_said(arguments)...);
}

template <typename... Args>
void say(fmt::format_string<Said<Args>...> format, const Args&... arguments) {
    fmt::print(stdout, format, as_said(arguments)...);
}

} // namespace holdfast
