// Headers of tar archives, good ones and others.
#pragma once

#include "base/bytes.h"

#include <algorithm>
#include <string>
#include <string_view>

#include <fmt/format.h>

namespace holdfast::test {

struct TarHeader {
    std::string name;
    char kind = '0';
    std::string size = "00000000000 "; // octal, or base 256
    std::string prefix = "";
    std::string magic = "ustar";
};

inline Bytes tar_header(const TarHeader& header) {
    Bytes bytes(512);
    const auto put = [&](std::size_t at, std::string_view text) {
        std::copy(text.begin(), text.end(), bytes.begin() + static_cast<std::ptrdiff_t>(at));
    };
    put(0, header.name);
    put(100, "0000600 ");
    put(124, header.size);
    put(136, "00000000001 ");
    put(148, "        ");
    bytes[156] = static_cast<Byte>(header.kind);
    put(157, header.kind == '2' ? "/elsewhere" : "");
    put(257, header.magic);
    put(345, header.prefix);
    unsigned sum = 0;
    for (const Byte byte : bytes) sum += byte;
    put(148, fmt::format("{:06o}", sum) + std::string("\0 ", 2));
    return bytes;
}

} // namespace holdfast::test
