#include "repository/pack/pack_seal.h"

#include "base/error.h"
#include "crypto/hash.h"
#include "repository/compression.h"
#include "repository/object.h"

namespace holdfast {

namespace {

constexpr int tail_level = 3;

} // namespace

Bytes seal_pack_tail(const PackTail& tail, ByteView structure_secret, const PackId& pack) {
    return tail_key(structure_secret, pack)
        .seal(0, pack.to_bytes().view(), zstd_compress(encode_pack_tail(tail), tail_level));
}

PackTail open_pack_tail(ByteView sealed, ByteView structure_secret, const PackId& pack) {
    if (sealed.size() < aead_tag_bytes) throw Error(ErrorCode::corrupt, "the tail of a pack is too short");
    Bytes plain(sealed.size() - aead_tag_bytes);
    if (!tail_key(structure_secret, pack).open(0, pack.to_bytes().view(), sealed, plain)) {
        throw Error(ErrorCode::corrupt, "the tail of a pack is not what its writer sealed");
    }
    return decode_pack_tail(zstd_decompress(plain, max_tail_bytes, "the tail of a pack"));
}

FixedBytes<32> pack_digest(std::span<const ByteView> parts) {
    Hasher hasher = Hasher::derive("holdfast pack digest 1");
    for (const ByteView part : parts) hasher.update(part);
    return hasher.finish<32>();
}

Bytes make_pack_footer(std::span<const ByteView> parts, std::size_t tail_bytes, const std::string& name,
                       const RunContext& run) {
    PackFooter footer;
    footer.tail_length = static_cast<std::uint32_t>(tail_bytes);
    ByteWriter length;
    length.u32(footer.tail_length);
    std::vector<ByteView> digested(parts.begin(), parts.end());
    digested.emplace_back(length.bytes());
    footer.digest = pack_digest(digested);
    footer.signature = sign_digest(run.signing_key(), name, footer.digest);
    return encode_pack_footer(footer);
}

} // namespace holdfast
