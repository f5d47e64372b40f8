#include "postgres/server/wire_numbers.h"

#include <algorithm>
#include <chrono>

namespace holdfast::postgres {

namespace {

constexpr std::chrono::microseconds epoch =
    std::chrono::sys_days(std::chrono::year(2000) / 1 / 1).time_since_epoch();
constexpr std::chrono::microseconds latest =
    std::chrono::duration_cast<std::chrono::microseconds>(Timestamp::max().time_since_epoch());
constexpr std::chrono::microseconds earliest =
    std::chrono::duration_cast<std::chrono::microseconds>(Timestamp::min().time_since_epoch());

} // namespace

std::uint64_t read_wire_u64(ByteView bytes) {
    std::uint64_t value = 0;
    for (const Byte byte : bytes.first(8)) value = value << 8 | byte;
    return value;
}

void append_wire_u64(Bytes& out, std::uint64_t value) {
    for (int shift = 56; shift >= 0; shift -= 8) out.push_back(static_cast<Byte>(value >> shift));
}

Timestamp from_wire_time(std::uint64_t microseconds) {
    const std::chrono::microseconds since_2000(static_cast<std::int64_t>(microseconds));
    const std::chrono::microseconds kept = std::clamp(since_2000, earliest - epoch, latest - epoch);
    return Timestamp(kept + epoch);
}

std::uint64_t to_wire_time(Timestamp time) {
    const auto since_1970 = std::chrono::floor<std::chrono::microseconds>(time.time_since_epoch());
    return static_cast<std::uint64_t>((since_1970 - epoch).count());
}

} // namespace holdfast::postgres
