#include "repository/pack/pack_format.h"

#include "base/error.h"
#include "crypto/hash.h"

#include <limits>

namespace holdfast {

namespace {

constexpr std::string_view header_magic = "HFPK";
constexpr std::string_view footer_magic = "HFPE";
constexpr std::uint8_t pack_version = 1;
constexpr std::uint8_t suite_1 = 1;

void check_magic(ByteReader& reader, std::string_view magic, std::string_view what) {
    if (as_text(reader.raw(magic.size())) != magic) {
        throw Error(ErrorCode::corrupt, std::string(what) + " does not begin as one");
    }
}

PackId read_pack_id(ByteReader& reader) {
    const std::optional<PackId> id = PackId::from_bytes(reader.fixed_bytes<24>());
    if (!id) reader.fail("not the id of a pack");
    return *id;
}

BlobRecord decode_blob(ByteReader& reader, std::uint32_t raw_length) {
    BlobRecord blob;
    const std::uint8_t type = reader.u8();
    if (type != 1 && type != 2) reader.fail("an unknown type of blob");
    blob.type = static_cast<BlobType>(type);
    blob.id = reader.fixed_bytes<24>();
    blob.offset = static_cast<std::uint32_t>(reader.varint_at_most(raw_length));
    blob.length = static_cast<std::uint32_t>(reader.varint_at_most(raw_length - blob.offset));
    return blob;
}

FrameRecord decode_frame(ByteReader& reader, std::size_t origins, std::uint32_t position) {
    FrameRecord frame;
    if (origins > 0) {
        frame.origin = static_cast<std::uint32_t>(reader.varint_at_most(origins - 1));
        frame.number =
            static_cast<std::uint32_t>(reader.varint_at_most(std::numeric_limits<std::uint32_t>::max() - 1));
    } else {
        frame.number = position;
    }
    frame.stored_length = static_cast<std::uint32_t>(reader.varint_at_most(max_frame_bytes + aead_tag_bytes));
    frame.raw_length = static_cast<std::uint32_t>(reader.varint_at_most(max_frame_bytes));
    const std::uint8_t codec = reader.u8();
    if (codec > 1) reader.fail("an unknown codec");
    frame.codec = static_cast<Codec>(codec);
    if (frame.stored_length < aead_tag_bytes || frame.raw_length == 0) reader.fail("an empty frame");
    if (frame.codec == Codec::stored && frame.stored_length != frame.raw_length + aead_tag_bytes) {
        reader.fail("the length of a stored frame is wrong");
    }
    const std::uint64_t blobs = reader.varint_at_most(reader.remaining() / 27 + 1);
    frame.blobs.reserve(blobs);
    for (std::uint64_t i = 0; i < blobs; ++i) frame.blobs.push_back(decode_blob(reader, frame.raw_length));
    return frame;
}

} // namespace

Bytes encode_pack_tail(const PackTail& tail) {
    ByteWriter out;
    out.varint(tail.origins.size());
    for (const PackOrigin& origin : tail.origins) {
        out.raw(origin.pack.to_bytes().view());
        write_envelope(out, origin.envelope);
    }
    out.varint(tail.frames.size());
    for (const FrameRecord& frame : tail.frames) {
        if (!tail.origins.empty()) {
            out.varint(frame.origin);
            out.varint(frame.number);
        }
        out.varint(frame.stored_length);
        out.varint(frame.raw_length);
        out.u8(static_cast<std::uint8_t>(frame.codec));
        out.varint(frame.blobs.size());
        for (const BlobRecord& blob : frame.blobs) {
            out.u8(static_cast<std::uint8_t>(blob.type));
            out.fixed_bytes(blob.id);
            out.varint(blob.offset);
            out.varint(blob.length);
        }
    }
    return std::move(out).take();
}

PackTail decode_pack_tail(ByteView body) {
    ByteReader reader(body, "the tail of a pack");
    PackTail tail;
    const std::uint64_t origins = reader.varint_at_most(body.size() / 24);
    for (std::uint64_t i = 0; i < origins; ++i) {
        PackOrigin origin;
        origin.pack = read_pack_id(reader);
        origin.envelope = read_envelope(reader, "the tail of a pack");
        tail.origins.push_back(std::move(origin));
    }
    const std::uint64_t frames = reader.varint_at_most(body.size() / 4);
    tail.frames.reserve(frames);
    for (std::uint64_t i = 0; i < frames; ++i) {
        tail.frames.push_back(decode_frame(reader, tail.origins.size(), static_cast<std::uint32_t>(i)));
    }
    reader.expect_end();
    return tail;
}

Bytes encode_pack_header(const PackHeader& header) {
    ByteWriter out;
    out.raw(as_bytes(header_magic));
    out.u8(pack_version);
    out.u8(suite_1);
    out.u8(header.pack.kind);
    out.u8(header.pack.cls);
    out.fixed_bytes(header.writer);
    out.raw(header.pack.to_bytes().view());
    write_envelope(out, header.envelope);
    return std::move(out).take();
}

ParsedPackHeader parse_pack_header(ByteView bytes) {
    ByteReader reader(bytes, "the header of a pack");
    check_magic(reader, header_magic, "the header of a pack");
    if (reader.u8() != pack_version || reader.u8() != suite_1) {
        throw Error(ErrorCode::incompatible,
                    "a pack is of a version or suite that this program does not know",
                    "use a newer holdfast");
    }
    const std::uint8_t kind = reader.u8();
    const std::uint8_t cls = reader.u8();
    ParsedPackHeader parsed;
    parsed.header.writer = reader.fixed_bytes<16>();
    parsed.header.pack = read_pack_id(reader);
    if (parsed.header.pack.kind != kind || parsed.header.pack.cls != cls)
        reader.fail("it contradicts itself");
    parsed.header.envelope = read_envelope(reader, "the header of a pack");
    parsed.size_bytes = reader.position();
    return parsed;
}

Bytes encode_pack_footer(const PackFooter& footer) {
    ByteWriter out;
    out.u32(footer.tail_length);
    out.fixed_bytes(footer.digest);
    out.fixed_bytes(footer.signature);
    out.raw(as_bytes(footer_magic));
    return std::move(out).take();
}

PackFooter parse_pack_footer(ByteView last_bytes) {
    if (last_bytes.size() < pack_footer_bytes)
        throw Error(ErrorCode::corrupt, "a pack is too short to be one");
    ByteReader reader(last_bytes.last(pack_footer_bytes), "the footer of a pack");
    PackFooter footer;
    footer.tail_length = reader.u32();
    footer.digest = reader.fixed_bytes<32>();
    footer.signature = reader.fixed_bytes<64>();
    check_magic(reader, footer_magic, "the footer of a pack");
    return footer;
}

Bytes frame_associated_data(const PackId& origin, std::uint32_t number, std::uint32_t raw_length,
                            Codec codec) {
    ByteWriter out;
    out.raw(origin.to_bytes().view());
    out.u32(number);
    out.u32(raw_length);
    out.u8(static_cast<std::uint8_t>(codec));
    return std::move(out).take();
}

namespace {

Aead derived_key(ByteView secret, std::string_view purpose, const PackId& pack) {
    ByteWriter info;
    info.raw(as_bytes(purpose));
    info.raw(pack.to_bytes().view());
    return Aead(hkdf_expand(secret, info.bytes()).view());
}

} // namespace

Aead frame_key(ByteView run_secret, const PackId& origin) {
    return derived_key(run_secret, "holdfast frames", origin);
}
Aead tail_key(ByteView structure_secret, const PackId& pack) {
    return derived_key(structure_secret, "holdfast tail", pack);
}

} // namespace holdfast
