// The body of a slice of a log, part by part (docs/format.md, section 11). The outer form with its signature
// is not dealt with here.
#pragma once

#include "base/clock.h"
#include "base/secret.h"
#include "crypto/aead.h"
#include "repository/compression.h"
#include "repository/ids.h"
#include "repository/object.h"

#include <string>
#include <string_view>
#include <vector>

namespace holdfast {

constexpr std::size_t slice_header_bytes = 4 + 4 + 32 + 64;
constexpr std::size_t slice_frame_bytes = std::size_t{1} << 20; // of every frame but the last
constexpr std::size_t largest_slice_info_bytes = std::size_t{1} << 20;
constexpr std::size_t largest_slice_summary_bytes = std::size_t{16} << 20;

using SliceDigest = FixedBytes<16>;

struct SliceFrame {
    std::uint32_t stored_bytes = 0; // with its tag
    std::uint32_t raw_bytes = 0;
    Codec codec = Codec::stored;

    bool operator==(const SliceFrame&) const = default;
};

// What a slice says of itself.
struct SliceInfo {
    Timestamp written{};
    SliceDigest digest; // see slice_digest
    std::vector<SliceFrame> frames;
    Bytes details; // whatever the source's kind puts there, to be read without the content

    std::uint64_t content_bytes() const;
    bool operator==(const SliceInfo&) const = default;
};

Bytes encode_slice_info(const SliceInfo& info);
// Throws Error(corrupt) unless the frames are as they are cut.
SliceInfo decode_slice_info(ByteView bytes, std::string_view name);

// With what a body begins: the lengths of its first two parts, as stored, and what proves to who reads no
// more than these who wrote them.
struct SliceHeader {
    std::uint32_t info_bytes = 0;
    std::uint32_t summary_bytes = 0; // 0: there is none
    ObjectDigest summary_digest;     // see summary_digest_of
    Signature signature;             // over beginning_digest

    Bytes encode() const;
    // Throws Error(corrupt) when the lengths do not fit a body of `body_bytes`.
    static SliceHeader parse(ByteView bytes, std::uint64_t body_bytes, std::string_view name);
    // What the signature is over: all of the object up to the summary. `before_body` is the outer form's,
    // `info` as stored.
    ObjectDigest beginning_digest(ByteView before_body, ByteView info) const;
    std::uint64_t summary_offset() const { return slice_header_bytes + info_bytes; }
    std::uint64_t frames_offset() const { return summary_offset() + summary_bytes; }
};

constexpr std::uint32_t slice_info_part = 0;
constexpr std::uint32_t slice_summary_part = 1;

// Of a summary as stored.
ObjectDigest summary_digest_of(ByteView summary);

// The key of the frames, from the content secret of the run.
Secret slice_content_key(ByteView content_secret, std::string_view name);
// The associated data of the first two parts, and of a frame.
Bytes slice_part_data(std::string_view name, const SliceHeader& header);
Bytes slice_frame_data(std::string_view name, std::uint32_t raw_bytes, Codec codec);

// What tells equal contents of one domain: a keyed hash.
SliceDigest slice_digest(ByteView domain_identity_key, ByteView content);

[[noreturn]] void corrupt_slice(std::string_view name, std::string_view why);

} // namespace holdfast
