#include "repository/log/log_reader.h"

#include "base/error.h"
#include "repository/object.h"

#include <fmt/format.h>

namespace holdfast {

namespace {

// Header, lengths, and the info of a usual slice.
constexpr std::uint64_t first_read_bytes = 4096;

[[noreturn]] void fail_gone(const std::string& name) {
    throw Error(ErrorCode::not_found, name + " is gone",
                "a prune has deleted it, or somebody has; 'holdfast verify' tells what depends on it");
}

Bytes open_part(Aead& aead, std::uint32_t number, ByteView associated, ByteView sealed,
                std::string_view name) {
    Bytes plain(sealed.size() - aead_tag_bytes);
    if (!aead.open(number, associated, sealed, plain))
        corrupt_slice(name, "its bytes are not what its writer encrypted");
    return plain;
}

// What begins a slice, opened.
struct Opened {
    SliceHeader header;
    Bytes associated;
    std::shared_ptr<const Secret> structure;
};

Aead structure_aead(const Opened& opened, std::string_view name) {
    return Aead(object_key(opened.structure->view(), ObjectKind::log_slice, name).view());
}

SliceHeader read_slice_header(std::string_view name, const ObjectHeader& object, ByteView body) {
    if (body.size() < slice_header_bytes) corrupt_slice(name, "it is too short");
    return SliceHeader::parse(body.first(slice_header_bytes), object.body_bytes, name);
}

Opened open_beginning(const RepositoryContext& context, std::string_view name, const ObjectHeader& object,
                      ByteView body) {
    Opened opened;
    opened.header = read_slice_header(name, object, body);
    opened.associated = slice_part_data(name, opened.header);
    opened.structure = in_context(name, [&] { return context.keys.structure_secret_for(*object.envelope); });
    return opened;
}

SliceInfo open_info(const Opened& opened, ByteView body, std::string_view name) {
    Aead aead = structure_aead(opened, name);
    SliceInfo info =
        decode_slice_info(open_part(aead, slice_info_part, opened.associated,
                                    body.subspan(slice_header_bytes, opened.header.info_bytes), name),
                          name);
    const auto slice = LogSliceId::from_name(name);
    if (!slice || info.content_bytes() != slice->range.end - slice->range.begin)
        corrupt_slice(name, fmt::format("it has {} bytes of the log, and its name says otherwise",
                                        info.content_bytes()));
    return info;
}

// The identity key of the domain that a slice is of, if this holder has it.
std::optional<Secret> identity_key_for(const RepositoryContext& context, std::string_view name) {
    const DomainId domain = domain_of(LogSliceId::from_name(name)->archive);
    const KeyRing& keys = context.keys;
    const std::optional<std::string> called =
        domain == domain_id(keys.domain()) ? keys.domain() : context.trust.domain_named(domain);
    if (!called) return std::nullopt;
    try {
        return keys.identity_key_of(*called);
    } catch (const Error& error) {
        if (error.code() != ErrorCode::wrong_key) throw;
        return std::nullopt;
    }
}

// What others compare by is what the content is.
void check_digest(const RepositoryContext& context, std::string_view name, const SliceInfo& info,
                  ByteView content) {
    const std::optional<Secret> key = identity_key_for(context, name);
    if (key && slice_digest(key->view(), content) != info.digest)
        corrupt_slice(name, "its content has not the digest that its writer gave it");
}

Bytes open_summary(const Opened& opened, ByteView sealed, std::string_view name) {
    Aead aead = structure_aead(opened, name);
    return zstd_decompress(open_part(aead, slice_summary_part, opened.associated, sealed, name),
                           largest_slice_summary_bytes, name);
}

// Some of a slice's frames.
struct FrameRange {
    std::size_t first = 0, end = 0;
    std::uint64_t raw_begin = 0, raw_end = 0;       // in the content
    std::uint64_t stored_begin = 0, stored_end = 0; // behind the summary
};

FrameRange all_frames(const SliceInfo& info, ByteView frames) {
    return {0, info.frames.size(), 0, info.content_bytes(), 0, frames.size()};
}

// Those that hold the content's bytes [begin, end).
FrameRange frames_with(const SliceInfo& info, std::uint64_t begin, std::uint64_t end) {
    FrameRange range;
    std::uint64_t raw = 0, stored = 0;
    for (std::size_t i = 0; i < info.frames.size() && raw < end; ++i) {
        const SliceFrame& frame = info.frames[i];
        if (raw + frame.raw_bytes <= begin) {
            range.first = i + 1;
            range.raw_begin = raw + frame.raw_bytes;
            range.stored_begin = stored + frame.stored_bytes;
        }
        raw += frame.raw_bytes;
        stored += frame.stored_bytes;
        range.end = i + 1;
    }
    range.raw_end = raw;
    range.stored_end = stored;
    return range;
}

// `frames` are the bytes of the range.
Bytes open_frames(const SliceInfo& info, const FrameRange& range, ByteView frames, ByteView content_secret,
                  std::string_view name) {
    Bytes content(range.raw_end - range.raw_begin);
    Aead aead(slice_content_key(content_secret, name).view());
    Decompressor decompressor;
    Bytes plain;
    std::size_t place = 0, written = 0;
    for (auto number = static_cast<std::uint32_t>(range.first); number < range.end; ++number) {
        const SliceFrame& frame = info.frames[number];
        if (frame.stored_bytes <= aead_tag_bytes || frame.stored_bytes > frames.size() - place)
            corrupt_slice(name, "it has not the length that its frames add up to");
        plain.resize(frame.stored_bytes - aead_tag_bytes);
        if (!aead.open(number, slice_frame_data(name, frame.raw_bytes, frame.codec),
                       frames.subspan(place, frame.stored_bytes), plain))
            corrupt_slice(name, fmt::format("frame {} is not what its writer encrypted", number));
        decompressor.decompress(frame.codec, plain,
                                MutableByteView(content).subspan(written, frame.raw_bytes));
        place += frame.stored_bytes;
        written += frame.raw_bytes;
    }
    if (place != frames.size()) corrupt_slice(name, "it has not the length that its frames add up to");
    return content;
}

} // namespace

std::vector<LogSliceId> list_slices(Store& store, const ArchiveId& archive, std::uint64_t from,
                                    const CallOptions& call) {
    std::vector<LogSliceId> slices;
    store.list(
        std::string(logs_prefix) + archive.hex() + "/", "",
        [&](const ObjectInfo& object) {
            const auto slice = LogSliceId::from_name(object.name);
            if (slice && (slice->range.end > from || slice->range.begin == slice->range.end))
                slices.push_back(*slice);
            return true;
        },
        call);
    return slices;
}

// No slice is longer than the largest, so that one that reaches into the range begins not far before it.
std::vector<LogSliceId> list_slices_of(Store& store, const ArchiveId& archive, const LogRange& range,
                                       const CallOptions& call) {
    const std::uint64_t first = range.begin > largest_slice_bytes ? range.begin - largest_slice_bytes : 0;
    const std::string prefix = fmt::format("{}{}/{:08x}-", logs_prefix, archive.hex(), range.branch);
    std::vector<LogSliceId> found;
    store.list(
        prefix, fmt::format("{}{:016x}-", prefix, first),
        [&](const ObjectInfo& object) {
            const auto slice = LogSliceId::from_name(object.name);
            if (!slice) return true;
            if (slice->range.begin >= range.end) return false;
            if (slice->range.end > range.begin && slice->range.begin < slice->range.end)
                found.push_back(*slice);
            return true;
        },
        call);
    return found;
}

std::vector<LogSliceId> list_branch_slices(Store& store, const ArchiveId& archive, std::uint32_t branch,
                                           const CallOptions& call) {
    const std::string prefix =
        fmt::format("{}{}/{:08x}-{:016x}-{:016x}-", logs_prefix, archive.hex(), branch, 0, 0);
    std::vector<LogSliceId> found;
    for (const ObjectInfo& object : store.list_all(prefix, call)) {
        if (const auto slice = LogSliceId::from_name(object.name)) found.push_back(*slice);
    }
    return found;
}

struct LogReader::Beginning {
    ObjectHeader object;
    Bytes bytes; // of the object, from its start

    ByteView body() const { return ByteView(bytes).subspan(object.body_offset); }
};

// Who wrote it is told by a signature of its own: that of the whole object would need the whole.
LogReader::Beginning LogReader::beginning(const LogSliceId& slice, const CallOptions& call) const {
    const std::string name = slice.name();
    for (std::uint64_t wanted = first_read_bytes;;) {
        std::optional<Bytes> bytes = context_.store.get(name, {0, wanted}, call);
        if (!bytes) fail_gone(name);
        Beginning beginning{read_object_header(name, *bytes), std::move(*bytes)};
        const ObjectHeader& object = beginning.object;
        if (object.kind != ObjectKind::log_slice) corrupt_slice(name, "it is something else");
        const SliceHeader header = read_slice_header(name, object, beginning.body());
        const std::uint64_t needed = object.body_offset + header.summary_offset();
        if (needed > beginning.bytes.size()) {
            if (wanted > first_read_bytes) corrupt_slice(name, "it is cut short");
            wanted = needed;
            continue;
        }
        const ByteView before_body = ByteView(beginning.bytes).first(object.body_offset);
        const ByteView info = beginning.body().subspan(slice_header_bytes, header.info_bytes);
        context_.trust.require({name, object.kind, object.writer, object.run,
                                header.beginning_digest(before_body, info), header.signature});
        return beginning;
    }
}

void LogReader::check_beginning(const LogSliceId& slice, const CallOptions& call) const {
    beginning(slice, call);
}

SliceInfo LogReader::info(const LogSliceId& slice, const CallOptions& call) const {
    const std::string name = slice.name();
    const Beginning start = beginning(slice, call);
    return open_info(open_beginning(context_, name, start.object, start.body()), start.body(), name);
}

Bytes LogReader::summary(const LogSliceId& slice, const CallOptions& call) const {
    const std::string name = slice.name();
    const Beginning start = beginning(slice, call);
    const Opened opened = open_beginning(context_, name, start.object, start.body());
    if (opened.header.summary_bytes == 0) return {};
    const ByteRange range{start.object.body_offset + opened.header.summary_offset(),
                          opened.header.summary_bytes};
    Bytes sealed;
    if (range.offset + range.length <= start.bytes.size()) {
        const ByteView held = ByteView(start.bytes).subspan(range.offset, range.length);
        sealed.assign(held.begin(), held.end());
    } else {
        std::optional<Bytes> read = context_.store.get(name, range, call);
        if (!read) fail_gone(name);
        sealed = std::move(*read);
    }
    if (summary_digest_of(sealed) != opened.header.summary_digest)
        corrupt_slice(name, "its summary is not what its writer signed");
    if (sealed.size() != opened.header.summary_bytes) corrupt_slice(name, "it is cut short");
    return open_summary(opened, sealed, name);
}

namespace {

LogReader::Whole open_whole(const RepositoryContext& context, const std::string& name, ByteView object,
                            bool with_summary) {
    const ObjectForm form = read_object_form(name, object);
    context.trust.require(name, form);
    const Opened opened = open_beginning(context, name, form.header, form.body);
    LogReader::Whole whole{open_info(opened, form.body, name), {}, {}};
    if (with_summary && opened.header.summary_bytes > 0)
        whole.summary = open_summary(
            opened, form.body.subspan(opened.header.summary_offset(), opened.header.summary_bytes), name);
    const auto secret =
        in_context(name, [&] { return context.keys.content_secret_for(*form.header.envelope); });
    const ByteView frames = form.body.subspan(opened.header.frames_offset());
    whole.bytes = open_frames(whole.info, all_frames(whole.info, frames), frames, secret->view(), name);
    check_digest(context, name, whole.info, whole.bytes);
    return whole;
}

} // namespace

LogReader::Content LogReader::content(const LogSliceId& slice, const CallOptions& call) const {
    const std::string name = slice.name();
    const std::optional<Bytes> bytes = context_.store.get(name, {}, call);
    if (!bytes) fail_gone(name);
    Whole whole = open_whole(context_, name, *bytes, false);
    return {std::move(whole.info), std::move(whole.bytes)};
}

Bytes LogReader::part(const LogSliceId& slice, std::uint64_t begin, std::uint64_t end,
                      const CallOptions& call) const {
    if (begin < slice.range.begin || end > slice.range.end || begin >= end)
        throw Error(ErrorCode::internal, "a part of a slice that does not lie in it");
    const std::string name = slice.name();
    const Beginning start = beginning(slice, call);
    const Opened opened = open_beginning(context_, name, start.object, start.body());
    const SliceInfo info = open_info(opened, start.body(), name);
    const FrameRange range = frames_with(info, begin - slice.range.begin, end - slice.range.begin);
    const std::optional<Bytes> frames = context_.store.get(
        name,
        ByteRange{start.object.body_offset + opened.header.frames_offset() + range.stored_begin,
                  range.stored_end - range.stored_begin},
        call);
    if (!frames) fail_gone(name);
    const auto secret =
        in_context(name, [&] { return context_.keys.content_secret_for(*start.object.envelope); });
    const Bytes bytes = open_frames(info, range, *frames, secret->view(), name);
    const ByteView wanted = ByteView(bytes).subspan(begin - slice.range.begin - range.raw_begin, end - begin);
    return {wanted.begin(), wanted.end()};
}

LogReader::Whole LogReader::whole(const LogSliceId& slice, const CallOptions& call) const {
    const std::string name = slice.name();
    const std::optional<Bytes> bytes = context_.store.get(name, {}, call);
    if (!bytes) fail_gone(name);
    return open_whole(context_, name, *bytes, true);
}

void LogReader::check(const LogSliceId& slice, const CallOptions& call) const {
    const std::string name = slice.name();
    const std::optional<Bytes> bytes = context_.store.get(name, {}, call);
    if (!bytes) fail_gone(name);
    context_.trust.require(name, read_object_form(name, *bytes));
}

bool LogReader::is_refusal(const LogSliceId& slice, const Error& error, const CallOptions& call) const {
    switch (error.code()) {
    case ErrorCode::corrupt:
    case ErrorCode::incompatible:
    case ErrorCode::not_found:
        return true;
    case ErrorCode::access_denied:
        context_.store.get(slice.name(), ByteRange{0, 1}, call);
        return true;
    default:
        return false;
    }
}

bool LogReader::counts(const LogSliceId& slice, const CallOptions& call) const {
    try {
        check_beginning(slice, call);
        return true;
    } catch (const Error& error) {
        if (!is_refusal(slice, error, call)) throw;
        return false;
    }
}

} // namespace holdfast
