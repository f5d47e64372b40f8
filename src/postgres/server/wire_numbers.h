// Integers of PostgreSQL's protocol: big-endian; and its times: microseconds since 2000-01-01T00:00:00Z.
//
// Source: PostgreSQL's documentation, chapter "Frontend/Backend Protocol", "Streaming Replication Protocol".
#pragma once

#include "base/bytes.h"
#include "base/clock.h"

#include <cstdint>

namespace holdfast::postgres {

// `bytes` must have 8.
std::uint64_t read_wire_u64(ByteView bytes);
void append_wire_u64(Bytes& out, std::uint64_t value);

// Times beyond what Timestamp can hold become the nearest it can.
Timestamp from_wire_time(std::uint64_t microseconds);
std::uint64_t to_wire_time(Timestamp time);

} // namespace holdfast::postgres
