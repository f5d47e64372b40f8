// Any bytes as a node: what decodes must be the one encoding of what it decoded to.
#include "base/error.h"
#include "support/node_reencode.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const holdfast::ByteView node(data, size);
    try {
        const holdfast::Bytes again = holdfast::testing::reencode(node);
        if (std::ranges::equal(again, node)) return 0;
        std::fputs("a node encodes to other bytes than it was decoded from\n", stderr);
    } catch (const holdfast::Error& error) {
        if (error.code() == holdfast::ErrorCode::corrupt) return 0;
        std::fprintf(stderr, "unexpected error: %s\n", error.what());
    }
    std::abort();
}
