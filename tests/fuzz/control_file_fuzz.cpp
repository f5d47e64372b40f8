// pg_control, from any machine and version, or none. The CRC is made right half of the time, so that what is
// behind it is reached.
#include "base/crc32c.h"
#include "base/error.h"
#include "postgres/files/control_file.h"

#include <bit>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace holdfast;
    if (size == 0) return 0;
    Bytes bytes(data + 1, data + size);
    if (data[0] % 2 == 1 && bytes.size() >= 296) {
        const std::size_t at = data[0] % 4 == 1 ? 288 : 292;
        const std::uint32_t crc = crc32c(0, ByteView(bytes).first(at));
        std::memcpy(bytes.data() + at, &crc, sizeof crc);
    }
    try {
        const postgres::ControlFile file = postgres::parse_control_file(bytes);
        if (!file.crc_right) return 0;
        const bool sane = std::has_single_bit(file.block_bytes) &&
                          std::has_single_bit(file.wal_segment_bytes) && file.segment_blocks != 0 &&
                          file.checkpoint.timeline != 0 && !to_string(file.state).starts_with("unrec") &&
                          !to_string(file.wal_level).starts_with("unrec");
        if (!sane) std::abort();
    } catch (const Error& error) {
        if (error.code() != ErrorCode::corrupt && error.code() != ErrorCode::incompatible) std::abort();
    }
    return 0;
}
