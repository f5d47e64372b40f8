// What a slice says of the log in it: what is taken is encoded to the same bytes.
#include "base/error.h"
#include "postgres/archive/wal_details.h"

#include <algorithm>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace holdfast;
    const ByteView input(data, size);
    try {
        const postgres::WalDetails details = postgres::decode_wal_details(input, "slice");
        if (!std::ranges::equal(postgres::encode_wal_details(details), input)) std::abort();
    } catch (const Error& error) {
        if (error.code() != ErrorCode::corrupt && error.code() != ErrorCode::incompatible) std::abort();
    }
    return 0;
}
