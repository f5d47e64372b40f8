// What a pack says of itself: its header, its tail, its footer. Each has one encoding, so what is read must
// be written back the same. The first byte chooses.
#include "base/error.h"
#include "repository/pack/pack_format.h"

#include <algorithm>
#include <cstdlib>

namespace {

using namespace holdfast;

void expect_same(const Bytes& again, ByteView input) {
    if (!std::ranges::equal(again, input)) std::abort();
}

void decode(unsigned kind, ByteView input) {
    switch (kind % 3) {
    case 0: {
        const ParsedPackHeader parsed = parse_pack_header(input);
        if (parsed.size_bytes > max_pack_header_bytes) std::abort();
        expect_same(encode_pack_header(parsed.header), input.first(parsed.size_bytes));
        return;
    }
    case 1: {
        const PackTail tail = decode_pack_tail(input);
        if (decode_pack_tail(encode_pack_tail(tail)) != tail) std::abort();
        expect_same(encode_pack_tail(tail), input);
        return;
    }
    default:
        expect_same(encode_pack_footer(parse_pack_footer(input)), input.last(pack_footer_bytes));
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    try {
        decode(data[0], {data + 1, size - 1});
    } catch (const Error& error) {
        if (error.code() != ErrorCode::corrupt && error.code() != ErrorCode::incompatible) std::abort();
    }
    return 0;
}
