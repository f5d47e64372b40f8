// The bytes of a pack: header, tail and footer (docs/format.md, section 5). Pure coding, no store and no
// threads.
#pragma once

#include "base/bytes.h"
#include "crypto/aead.h"
#include "crypto/sign.h"
#include "repository/compression.h"
#include "repository/envelope.h"
#include "repository/ids.h"
#include "repository/node/location.h"

#include <optional>
#include <vector>

namespace holdfast {

constexpr std::size_t pack_footer_bytes = 104;
constexpr std::size_t max_pack_bytes = 1u << 30;  // a bound for readers; writers stay far below
constexpr std::size_t max_tail_bytes = 64u << 20; // raw, likewise

enum class BlobType : std::uint8_t { data = 1, node = 2 };

struct BlobRecord {
    BlobType type = BlobType::data;
    BlobId id;
    std::uint32_t offset = 0; // in the raw frame
    std::uint32_t length = 0;
    bool operator==(const BlobRecord&) const = default;
};

struct FrameRecord {
    std::uint32_t origin = 0; // index into PackTail::origins; 0 when there are none
    std::uint32_t number = 0; // its number in the origin pack
    std::uint32_t stored_length = 0;
    std::uint32_t raw_length = 0;
    Codec codec = Codec::stored;
    std::vector<BlobRecord> blobs;
    bool operator==(const FrameRecord&) const = default;
};

struct PackOrigin {
    PackId pack;
    Envelope envelope;
    bool operator==(const PackOrigin&) const = default;
};

struct PackTail {
    std::vector<PackOrigin> origins; // empty: every frame is the pack's own
    std::vector<FrameRecord> frames; // in the order in which they lie
    bool operator==(const PackTail&) const = default;
};

Bytes encode_pack_tail(const PackTail& tail);
// Throws Error(corrupt) on anything that encode_pack_tail would not have written.
PackTail decode_pack_tail(ByteView body);

struct PackHeader {
    SlotId writer;
    PackId pack;
    Envelope envelope;
};

Bytes encode_pack_header(const PackHeader& header);
struct ParsedPackHeader {
    PackHeader header;
    std::size_t size_bytes = 0; // where the first frame begins
};
// `bytes` begins with a pack's header and may be longer. Throws Error(corrupt), or Error(incompatible) for an
// unknown suite or version.
ParsedPackHeader parse_pack_header(ByteView bytes);
// No header is longer, so that one read is enough.
constexpr std::size_t max_pack_header_bytes = 512;

struct PackFooter {
    std::uint32_t tail_length = 0; // of the ciphertext
    FixedBytes<32> digest;
    Signature signature;
};
Bytes encode_pack_footer(const PackFooter& footer);
PackFooter parse_pack_footer(ByteView last_bytes);

// What is bound to a frame's ciphertext.
Bytes frame_associated_data(const PackId& origin, std::uint32_t number, std::uint32_t raw_length,
                            Codec codec);
// The key of the frames of `origin` from its run's content secret (data, log) or structure secret (metadata).
Aead frame_key(ByteView run_secret, const PackId& origin);
Aead tail_key(ByteView structure_secret, const PackId& pack);

} // namespace holdfast
