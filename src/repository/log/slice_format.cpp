#include "repository/log/slice_format.h"

#include "base/error.h"
#include "crypto/hash.h"

namespace holdfast {

namespace {

constexpr std::uint8_t info_version = 1;
constexpr std::uint64_t most_frames = largest_slice_bytes / slice_frame_bytes;
// Not even what does not compress may grow beyond this.
constexpr std::uint64_t largest_stored_frame = slice_frame_bytes + aead_tag_bytes;

} // namespace

void corrupt_slice(std::string_view name, std::string_view why) {
    throw Error(ErrorCode::corrupt,
                "the slice " + std::string(name) + " of a log is damaged: " + std::string(why),
                "restore this object from a copy of the repository; without it, what follows it in the log "
                "can be reached from a later snapshot only");
}

std::uint64_t SliceInfo::content_bytes() const {
    std::uint64_t bytes = 0;
    for (const SliceFrame& frame : frames) bytes += frame.raw_bytes;
    return bytes;
}

Bytes encode_slice_info(const SliceInfo& info) {
    ByteWriter out;
    out.u8(info_version);
    out.signed_varint(info.written.time_since_epoch().count());
    out.fixed_bytes(info.digest);
    out.varint(info.frames.size());
    for (const SliceFrame& frame : info.frames) {
        out.varint(frame.stored_bytes);
        out.varint(frame.raw_bytes);
        out.u8(static_cast<std::uint8_t>(frame.codec));
    }
    out.sized(info.details);
    return std::move(out).take();
}

SliceInfo decode_slice_info(ByteView bytes, std::string_view name) {
    ByteReader in(bytes, name);
    if (const unsigned version = in.u8(); version != info_version) {
        throw Error(ErrorCode::incompatible,
                    std::string(name) + " has a form that this version does not know",
                    "use a newer version of Holdfast");
    }
    SliceInfo info;
    info.written = Timestamp(Timestamp::duration(in.signed_varint()));
    info.digest = in.fixed_bytes<16>();
    const std::uint64_t frames = in.varint_at_most(most_frames);
    info.frames.reserve(frames);
    for (std::uint64_t i = 0; i < frames; ++i) {
        SliceFrame frame;
        frame.stored_bytes = static_cast<std::uint32_t>(in.varint_at_most(largest_stored_frame));
        frame.raw_bytes = static_cast<std::uint32_t>(in.varint_at_most(slice_frame_bytes));
        frame.codec = codec_from(in.u8());
        if (frame.raw_bytes == 0 || (i + 1 < frames && frame.raw_bytes != slice_frame_bytes))
            in.fail("has a frame of the wrong length");
        info.frames.push_back(frame);
    }
    const ByteView details = in.sized(largest_slice_info_bytes);
    info.details.assign(details.begin(), details.end());
    in.expect_end();
    return info;
}

Bytes SliceHeader::encode() const {
    ByteWriter out;
    out.u32(info_bytes);
    out.u32(summary_bytes);
    out.fixed_bytes(summary_digest);
    out.fixed_bytes(signature);
    return std::move(out).take();
}

SliceHeader SliceHeader::parse(ByteView bytes, std::uint64_t body_bytes, std::string_view name) {
    ByteReader in(bytes, name);
    SliceHeader header;
    header.info_bytes = in.u32();
    header.summary_bytes = in.u32();
    header.summary_digest = in.fixed_bytes<32>();
    header.signature = in.fixed_bytes<64>();
    in.expect_end();
    if (header.info_bytes <= aead_tag_bytes ||
        header.info_bytes > largest_slice_info_bytes + aead_tag_bytes ||
        header.summary_bytes > largest_slice_summary_bytes + aead_tag_bytes ||
        header.frames_offset() > body_bytes)
        corrupt_slice(name, "its header contradicts itself");
    return header;
}

ObjectDigest SliceHeader::beginning_digest(ByteView before_body, ByteView info) const {
    const Bytes header = encode();
    return Hasher::derive("holdfast slice beginning 1")
        .update(before_body)
        .update(ByteView(header).first(slice_header_bytes - sizeof(signature.bytes)))
        .update(info)
        .finish<32>();
}

ObjectDigest summary_digest_of(ByteView summary) {
    return derive_hash<32>("holdfast slice summary 1", summary);
}

Secret slice_content_key(ByteView content_secret, std::string_view name) {
    ByteWriter info;
    info.raw(as_bytes("holdfast log frames"));
    info.sized(name);
    return hkdf_expand(content_secret, info.bytes());
}

Bytes slice_part_data(std::string_view name, const SliceHeader& header) {
    ByteWriter data;
    data.raw(as_bytes(name));
    data.u32(header.info_bytes);
    data.u32(header.summary_bytes);
    return std::move(data).take();
}

Bytes slice_frame_data(std::string_view name, std::uint32_t raw_bytes, Codec codec) {
    ByteWriter data;
    data.raw(as_bytes(name));
    data.u32(raw_bytes);
    data.u8(static_cast<std::uint8_t>(codec));
    return std::move(data).take();
}

SliceDigest slice_digest(ByteView domain_identity_key, ByteView content) {
    const Secret key = hkdf_expand(domain_identity_key, as_bytes("holdfast log content"));
    return keyed_hash<16>(key.view(), content);
}

} // namespace holdfast
