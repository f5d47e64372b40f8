// Decoding a filter: any whole blocks are one, and asking it anything stays within it.
#include "base/error.h"
#include "repository/index/bloom_filter.h"

#include <algorithm>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace holdfast;
    const ByteView input(data, size);
    BlobId id;
    std::copy_n(input.data(), std::min(size, BlobId::size()), id.bytes.data());
    try {
        BloomFilter filter = BloomFilter::from_bytes(input);
        const Bytes again = filter.bytes();
        if (!std::equal(again.begin(), again.end(), input.begin(), input.end())) std::abort();
        filter.insert(BloomProbe(id));
        if (!filter.may_contain(BloomProbe(id))) std::abort();
    } catch (const Error&) {
        if (size != 0 && size % BloomFilter::block_bytes == 0) std::abort();
    }
    return 0;
}
