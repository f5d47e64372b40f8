// Pages as a server of version 16 wrote them for an empty cluster.
#pragma once

#include "base/bytes.h"
#include "support/error_matchers.h"

#include <algorithm>
#include <initializer_list>
#include <utility>

namespace holdfast::postgres::test {

using holdfast::test::code_of;
using holdfast::test::error_of;

inline Bytes page_of(std::initializer_list<std::pair<std::size_t, const char*>> parts) {
    Bytes page(8192);
    for (const auto& [at, digits] : parts) {
        std::ranges::copy(from_hex(digits), page.begin() + static_cast<std::ptrdiff_t>(at));
    }
    return page;
}

// Block 0 of a visibility map.
inline Bytes real_visibility_map_page() {
    return page_of({{0, "00000000a0cf6f01c89500001800002000200420"}, {24, "03"}});
}

// Block 1 of a b-tree, a leaf that is the root too: three items.
inline Bytes real_btree_page() {
    return page_of({{0, "0000000090123401745400002400c01ff01f0420"},
                    {24, "e09f2000d09f2000c09f2000"},
                    {8112, "0000000000000000000000000000000000000000030010"},
                    {8136, "4e330000000000000000000002001000f127000001"},
                    {8160, "0000000001001000f127"},
                    {8184, "0000000003"}});
}

} // namespace holdfast::postgres::test
