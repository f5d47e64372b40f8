// The two sealed parts of a pack that need keys: its tail and its footer.
#pragma once

#include "repository/pack/pack_format.h"
#include "repository/run_context.h"

#include <span>

namespace holdfast {

// The tail's ciphertext.
Bytes seal_pack_tail(const PackTail& tail, ByteView structure_secret, const PackId& pack);
// Throws Error(corrupt) when it is not what seal_pack_tail made for this pack and secret.
PackTail open_pack_tail(ByteView sealed, ByteView structure_secret, const PackId& pack);

// The footer behind `parts` (header, frames, tail), signed by the writer of `run`; its digest is over them
// and the tail's length.
Bytes make_pack_footer(std::span<const ByteView> parts, std::size_t tail_bytes, const std::string& name,
                       const RunContext& run);
FixedBytes<32> pack_digest(std::span<const ByteView> parts);

} // namespace holdfast
