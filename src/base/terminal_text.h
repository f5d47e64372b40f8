// Text that others wrote (names out of a repository, what a server answered), made harmless to a terminal.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace holdfast {

// A character of UTF-8: how many bytes it takes, and its number. No bytes when the text does not begin with
// one.
struct Character {
    std::size_t size = 0;
    std::uint32_t number = 0;
};
Character first_character(std::string_view text);

// Whether it breaks a line, moves a cursor or turns the direction of writing.
bool is_control(std::uint32_t character);

// `text` with \xNN for each byte of such characters, and for bytes that are not UTF-8.
std::string harmless(std::string_view text);

} // namespace holdfast
