#include "repository/pack/pack_seal.h"

#include "base/error.h"
#include "crypto/hash.h"
#include "repository/compression.h"

namespace holdfast {

namespace {

constexpr int tail_level = 3;

} // namespace

// The body's length stands before it inside the ciphertext, so that a reader knows how much memory it takes.
Bytes seal_pack_tail(const PackTail& tail, ByteView structure_secret, const PackId& pack) {
    const Bytes body = encode_pack_tail(tail);
    Compressor compressor;
    const std::optional<Bytes> smaller = compressor.compress(body, tail_level);
    ByteWriter plain;
    plain.u32(static_cast<std::uint32_t>(body.size()));
    plain.u8(smaller ? 1 : 0);
    plain.raw(smaller ? ByteView(*smaller) : ByteView(body));
    return tail_key(structure_secret, pack).seal(0, pack.to_bytes().view(), plain.bytes());
}

PackTail open_pack_tail(ByteView sealed, ByteView structure_secret, const PackId& pack) {
    if (sealed.size() < aead_tag_bytes) throw Error(ErrorCode::corrupt, "the tail of a pack is too short");
    Bytes plain(sealed.size() - aead_tag_bytes);
    if (!tail_key(structure_secret, pack).open(0, pack.to_bytes().view(), sealed, plain)) {
        throw Error(ErrorCode::corrupt, "the tail of a pack is not what its writer sealed");
    }
    ByteReader reader(plain, "the tail of a pack");
    const std::uint32_t size = reader.u32();
    if (size > max_tail_bytes) reader.fail("it is too large");
    const std::uint8_t codec = reader.u8();
    if (codec > 1) reader.fail("an unknown codec");
    const ByteView rest = reader.raw(reader.remaining());
    if (codec == 0) {
        if (rest.size() != size) reader.fail("its length is wrong");
        return decode_pack_tail(rest);
    }
    return decode_pack_tail(Decompressor().decompress(rest, size));
}

FixedBytes<32> pack_digest(std::span<const ByteView> parts) {
    Hasher hasher = Hasher::derive("holdfast pack digest 1");
    for (const ByteView part : parts) hasher.update(part);
    return hasher.finish<32>();
}

Bytes pack_signed_bytes(const std::string& name, const FixedBytes<32>& digest) {
    ByteWriter message;
    message.raw(as_bytes("holdfast signature 1"));
    message.sized(name);
    message.fixed_bytes(digest);
    return std::move(message).take();
}

Bytes make_pack_footer(std::span<const ByteView> parts, std::size_t tail_bytes, const std::string& name,
                       const KeyRing& keys) {
    PackFooter footer;
    footer.tail_length = static_cast<std::uint32_t>(tail_bytes);
    footer.digest = pack_digest(parts);
    footer.signature = keys.signing_key().sign(pack_signed_bytes(name, footer.digest));
    return encode_pack_footer(footer);
}

} // namespace holdfast
