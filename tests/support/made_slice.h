// A slice of a log made by hand: as nobody's program would write it.
#pragma once

#include "base/clock.h"
#include "repository/log/slice_format.h"
#include "repository/run_context.h"

namespace holdfast {

struct MadeSlice {
    Bytes content;
    Bytes summary{}; // as it is stored before it is encrypted: compressed
    SliceDigest digest{};
};

// The object under `id.name()`, signed by the run whatever its domain, with one frame at most.
inline Bytes make_slice(const RunContext& run, const LogSliceId& id, const MadeSlice& what,
                        Timestamp written) {
    const std::string name = id.name();
    const auto sealed = [](Aead& aead, std::uint32_t number, ByteView associated, ByteView plain) {
        Bytes out(plain.size() + aead_tag_bytes);
        aead.seal(number, associated, plain, out);
        return out;
    };
    SliceInfo info{.written = written, .digest = what.digest, .frames = {}, .details = {}};
    Bytes frames;
    if (!what.content.empty()) {
        const auto raw_bytes = static_cast<std::uint32_t>(what.content.size());
        Aead aead(slice_content_key(run.content_secret().view(), name).view());
        frames = sealed(aead, 0, slice_frame_data(name, raw_bytes, Codec::stored), what.content);
        info.frames.push_back({static_cast<std::uint32_t>(frames.size()), raw_bytes, Codec::stored});
    }
    const Bytes plain_info = encode_slice_info(info);
    SliceHeader header;
    header.info_bytes = static_cast<std::uint32_t>(plain_info.size() + aead_tag_bytes);
    header.summary_bytes =
        what.summary.empty() ? 0 : static_cast<std::uint32_t>(what.summary.size() + aead_tag_bytes);
    Aead aead(object_key(run.structure_secret().view(), ObjectKind::log_slice, name).view());
    const Bytes associated = slice_part_data(name, header);
    const Bytes sealed_info = sealed(aead, slice_info_part, associated, plain_info);
    Bytes sealed_summary;
    if (!what.summary.empty()) sealed_summary = sealed(aead, slice_summary_part, associated, what.summary);
    header.summary_digest = summary_digest_of(sealed_summary);
    const std::uint64_t body_bytes = header.frames_offset() + frames.size();
    header.signature = sign_digest(
        run.signing_key(), name,
        header.beginning_digest(bytes_before_body(ObjectKind::log_slice, run, body_bytes), sealed_info));
    Bytes body = header.encode();
    for (const Bytes* part : std::initializer_list<const Bytes*>{&sealed_info, &sealed_summary, &frames})
        body.insert(body.end(), part->begin(), part->end());
    return sign_parts(ObjectKind::log_slice, name, body, run);
}

} // namespace holdfast
