// What a slice of a log says of itself: its info, and the header of its body. Each has one encoding, so what
// is read must be written back the same. The first byte chooses.
#include "base/error.h"
#include "repository/log/slice_format.h"

#include <algorithm>
#include <cstdlib>

namespace {

using namespace holdfast;

void expect(bool condition) {
    if (!condition) std::abort();
}

void read_info(ByteView input) {
    const SliceInfo info = decode_slice_info(input, "slice");
    expect(std::ranges::equal(encode_slice_info(info), input));
    expect(info.content_bytes() <= largest_slice_bytes);
}

// Before the header, how long the body is that it is to fit.
void read_header(ByteView input) {
    if (input.size() < 4) return;
    const std::uint32_t body_bytes = ByteReader(input.first(4), "length").u32();
    const SliceHeader header = SliceHeader::parse(input.subspan(4), body_bytes, "slice");
    expect(std::ranges::equal(header.encode(), input.subspan(4)));
    expect(header.frames_offset() <= body_bytes);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const ByteView input(data + 1, size - 1);
    try {
        if (data[0] % 2 == 0) {
            read_info(input);
        } else {
            read_header(input);
        }
    } catch (const Error& error) {
        expect(error.code() == ErrorCode::corrupt || error.code() == ErrorCode::incompatible);
    }
    return 0;
}
