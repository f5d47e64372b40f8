#include "repository/log/log_writer.h"

#include "base/error.h"
#include "crypto/hash.h"
#include "repository/incompressible.h"
#include "repository/object_digest.h"
#include "repository/run_context.h"

#include <algorithm>

#include <fmt/format.h>

namespace holdfast {

namespace {

// A run's keys open its slices and no others: not too many should hang on one.
constexpr std::uint32_t slices_of_a_run = 4096;
constexpr int summary_level = 3;

void seal_part(Aead& aead, std::uint32_t number, ByteView associated, ByteView plain, Bytes& out) {
    const std::size_t place = out.size();
    out.resize(place + plain.size() + aead_tag_bytes);
    aead.seal(number, associated, plain, MutableByteView(out).subspan(place));
}

} // namespace

ArchiveId archive_id(const DomainId& domain, ByteView domain_identity_key, std::string_view source,
                     std::string_view system) {
    const Secret key = hkdf_expand(domain_identity_key, as_bytes("holdfast log archive"));
    ByteWriter names;
    names.sized(source);
    names.sized(system);
    const auto own = keyed_hash<8>(key.view(), names.bytes());
    ArchiveId archive;
    std::ranges::copy(domain.bytes, archive.bytes.begin());
    std::ranges::copy(own.bytes, archive.bytes.begin() + domain.size());
    return archive;
}

LogWriter::LogWriter(const RepositoryContext& context, ArchiveId archive, int compression_level)
    : context_(context),
      archive_(archive),
      level_(compression_level),
      identity_key_(context.keys.identity_key()) {
    if (!role_may_write(context.keys.role(), ObjectKind::log_slice)) {
        throw Error(ErrorCode::access_denied, "this key may not write a log",
                    "use a key of role full or write");
    }
    // What equal contents are told by is the domain's: with another key, nobody could compare.
    if (domain_of(archive) != domain_id(context.keys.domain())) {
        throw Error(ErrorCode::access_denied,
                    "this key is of the domain " + context.keys.domain() + ", and the log is of another",
                    "use a key of the domain that backs the source up");
    }
}

LogWriter::~LogWriter() = default;

SliceDigest LogWriter::digest_of(ByteView content) const {
    return slice_digest(identity_key_.view(), content);
}

LogWriter::Place LogWriter::next_place() {
    const std::scoped_lock lock(mutex_);
    if (!run_ || next_number_ == slices_of_a_run) {
        run_ = std::make_shared<RunContext>(context_.keys.begin_run(context_.random));
        next_number_ = 0;
    }
    return {run_, next_number_++};
}

SealedSlice LogWriter::seal(const NewSlice& slice, Compressor& compressor) {
    if (slice.content.size() > largest_slice_bytes || slice.details.size() > largest_slice_info_bytes / 2 ||
        slice.summary.size() > largest_slice_summary_bytes)
        throw Error(ErrorCode::internal, "a slice of a log is too large");
    const Place place = next_place();
    const LogSliceId id{archive_, slice.range, place.run->id(), place.number};
    const std::string name = id.name();

    Bytes frames;
    frames.reserve(slice.content.size() + (slice.content.size() / slice_frame_bytes + 1) * aead_tag_bytes);
    SliceInfo info{
        .written = context_.clock.now(), .digest = digest_of(slice.content), .frames = {}, .details = {}};
    Aead content_aead(slice_content_key(place.run->content_secret().view(), name).view());
    IncompressibleDetector detector;
    for (std::size_t offset = 0; offset < slice.content.size(); offset += slice_frame_bytes) {
        const ByteView raw =
            slice.content.subspan(offset, std::min(slice_frame_bytes, slice.content.size() - offset));
        const CompressedFrame frame = detector.looks_incompressible(raw) ? CompressedFrame{Codec::stored, raw}
                                                                         : compressor.compress(raw, level_);
        const auto raw_bytes = static_cast<std::uint32_t>(raw.size());
        seal_part(content_aead, static_cast<std::uint32_t>(info.frames.size()),
                  slice_frame_data(name, raw_bytes, frame.codec), frame.bytes, frames);
        info.frames.push_back(
            {static_cast<std::uint32_t>(frame.bytes.size() + aead_tag_bytes), raw_bytes, frame.codec});
    }
    info.details.assign(slice.details.begin(), slice.details.end());

    const Bytes plain_info = encode_slice_info(info);
    const Bytes summary = slice.summary.empty() ? Bytes() : zstd_compress(slice.summary, summary_level);
    SliceHeader header;
    header.info_bytes = static_cast<std::uint32_t>(plain_info.size() + aead_tag_bytes);
    header.summary_bytes = summary.empty() ? 0 : static_cast<std::uint32_t>(summary.size() + aead_tag_bytes);
    const Bytes associated = slice_part_data(name, header);
    Aead aead(object_key(place.run->structure_secret().view(), ObjectKind::log_slice, name).view());
    Bytes sealed_info, sealed_summary;
    seal_part(aead, slice_info_part, associated, plain_info, sealed_info);
    if (!summary.empty()) seal_part(aead, slice_summary_part, associated, summary, sealed_summary);
    header.summary_digest = summary_digest_of(sealed_summary);
    const std::uint64_t body_bytes = header.frames_offset() + frames.size();
    Bytes before_body = bytes_before_body(ObjectKind::log_slice, *place.run, body_bytes);
    header.signature =
        sign_digest(place.run->signing_key(), name, header.beginning_digest(before_body, sealed_info));
    SealedSlice sealed{id, std::move(before_body), std::move(frames), {}};
    const Bytes header_bytes = header.encode();
    for (const ByteView part : {ByteView(header_bytes), ByteView(sealed_info), ByteView(sealed_summary)})
        sealed.beginning.insert(sealed.beginning.end(), part.begin(), part.end());
    const std::array<ByteView, 2> before_signature{sealed.beginning, sealed.frames};
    sealed.signature = sign_digest(place.run->signing_key(), name, digest_of_object(before_signature));
    return sealed;
}

void LogWriter::put(const SealedSlice& slice, const CallOptions& call) {
    context_.store.put(slice.id.name(), slice.parts(), {}, call);
}

} // namespace holdfast
