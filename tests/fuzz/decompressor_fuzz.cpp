// Decompression of anything: an Error, or exactly the bytes that were asked for. And compression of anything
// comes back.
#include "base/error.h"
#include "repository/compression.h"
#include "repository/incompressible.h"

#include <algorithm>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace holdfast;
    if (size < 3) return 0;
    const ByteView input(data + 3, size - 3);
    const std::size_t raw_length = static_cast<std::size_t>(data[0]) | static_cast<std::size_t>(data[1]) << 8;
    Decompressor decompressor;
    Bytes out(raw_length);
    try {
        decompressor.decompress(data[2] % 2 == 0 ? Codec::zstd : Codec::stored, input, out);
    } catch (const Error& error) {
        if (error.code() != ErrorCode::corrupt) std::abort();
    }
    try {
        if (zstd_decompress(input, raw_length, "fuzz").size() > raw_length) std::abort();
    } catch (const Error& error) {
        if (error.code() != ErrorCode::corrupt) std::abort();
    }
    Compressor compressor;
    const CompressedFrame frame = compressor.compress(input, 1 + data[2] % 12);
    Bytes back(input.size());
    decompressor.decompress(frame.codec, frame.bytes, back);
    if (!std::equal(back.begin(), back.end(), input.begin(), input.end())) std::abort();
    IncompressibleDetector detector;
    detector.looks_incompressible(input);
    return 0;
}
