// C10: index segments are rid of entries whose frames are gone, and small ones are joined.
//
// An index is a hint, so that nothing here can lose anything; what matters is whose hints they are. A writer
// believes the segments of his own slot without reading the frames. So entries of others are never written
// again under our signature: their segments go when all of their entries are dead, and stay until then. Only
// those of our own slot are rewritten, and joined: every run leaves one, and every run opens all. Claims that
// a repair has gathered stay claims: only a run without content keys, whose segments nobody believes unread,
// rewrites them. It comes
// behind all deleting, so that a store that is full has room again: an entry of a pack that is gone is known
// as such.

#include "base/at_once.h"
#include "base/error.h"
#include "repository/index/segment_merge.h"
#include "repository/index/segment_reader.h"
#include "repository/object.h"
#include "repository/protocol/collection.h"
#include "repository/protocol/protocol_object.h"

#include <algorithm>

namespace holdfast {

namespace {

// Segments are looked at so many at a time.
constexpr std::size_t looked_at_together = 256;
// Enough for the header, and in most segments for the pack table, too.
constexpr std::uint64_t beginning_bytes = 64 << 10;
// Segments of more entries stay as they are. Small enough that some are held in memory.
constexpr std::uint64_t small_segment_entries = 100'000;
constexpr std::uint64_t joined_together_bytes = 64 << 20;

// An object of the store of which the beginning is here; the rest is read in ranges as it is needed.
class StoredSource final : public ByteSource {
  public:
    StoredSource(Store& store, const ObjectInfo& info, Bytes beginning)
        : store_(store), name_(info.name), size_bytes_(info.size_bytes), beginning_(std::move(beginning)) {}
    std::uint64_t size() const override { return size_bytes_; }
    void read(std::uint64_t offset, MutableByteView out) const override {
        if (offset <= beginning_.size() && out.size() <= beginning_.size() - offset) {
            std::ranges::copy(ByteView(beginning_).subspan(offset, out.size()), out.begin());
            return;
        }
        const std::optional<Bytes> bytes = store_.get(name_, {offset, out.size()}, {});
        if (!bytes || bytes->size() != out.size())
            throw Error(ErrorCode::corrupt, name_ + " is gone or was cut short");
        std::ranges::copy(*bytes, out.begin());
    }

  private:
    Store& store_;
    std::string name_;
    std::uint64_t size_bytes_;
    Bytes beginning_;
};

SegmentIdentity identity_of(ByteView structure_secret, const std::string& name) {
    return {object_key(structure_secret, ObjectKind::index_segment, name), name};
}

FrameAddress address_of(const IndexEntry& entry) { return {entry.location.pack, entry.location.frame}; }

std::shared_ptr<SegmentReader> reader_of(const std::shared_ptr<const ByteSource>& object,
                                         const std::string& name, const ObjectHeader& header,
                                         const KeyRing& keys) {
    const auto secret = keys.structure_secret_for(*header.envelope);
    return std::make_shared<SegmentReader>(
        std::make_shared<WindowSource>(object, header.body_offset, header.body_bytes),
        identity_of(secret->view(), name), SegmentReaderOptions{.load_filter = false, .cached_blocks = 1});
}

} // namespace

void Collection::maintain_index() {
    DoomedPacks gone = verdict_.earlier;
    gone.merge(verdict_.doomed);
    std::map<DomainId, std::vector<OwnSegment>> own;
    const std::vector<ObjectInfo> listed = context_.store.list_all(std::string(index_prefix));
    for (std::size_t at = 0; at < listed.size(); at += looked_at_together) {
        const auto together = std::span(listed).subspan(at, std::min(looked_at_together, listed.size() - at));
        std::vector<std::string> names;
        for (const ObjectInfo& info : together) names.push_back(info.name);
        std::map<std::string, Bytes> beginnings = get_each(names, {.offset = 0, .length = beginning_bytes});
        for (const ObjectInfo& info : together) {
            const auto beginning = beginnings.find(info.name);
            if (beginning == beginnings.end()) continue; // gone since it was listed
            noting_bad_segments([&] { look_at_segment(info, std::move(beginning->second), gone, own); });
        }
    }
    std::uint32_t next_segment = 0;
    for (auto& [domain, segments] : own) join_segments(domain, std::move(segments), gone, next_segment);
}

std::map<std::string, Bytes> Collection::get_each(std::span<const std::string> names,
                                                  const ByteRange& range) {
    std::map<std::string, Bytes> found;
    std::mutex mutex;
    for_each_at_once(
        names, settings_.requests_at_once, stop_, [&](const std::string& name, const std::stop_token& stop) {
            std::optional<Bytes> bytes = context_.store.get(name, range, {.timeout = {}, .stop = stop});
            if (!bytes) return;
            const std::scoped_lock lock(mutex);
            found.emplace(name, *std::move(bytes));
        });
    return found;
}

// What is wrong with a segment is told, and is nobody else's trouble.
void Collection::noting_bad_segments(const std::function<void()>& work) {
    try {
        work();
    } catch (const Error& error) {
        if (error.code() != ErrorCode::corrupt && error.code() != ErrorCode::incompatible &&
            error.code() != ErrorCode::wrong_key && error.code() != ErrorCode::access_denied) {
            throw;
        }
        report_.problems.push_back(error.message());
    }
}

bool Collection::ours_to_sign(const ObjectHeader& header) const {
    return header.writer == context_.keys.slot() && header.envelope->mode == own_run_->envelope().mode;
}

void Collection::look_at_segment(const ObjectInfo& info, Bytes beginning, const DoomedPacks& gone,
                                 std::map<DomainId, std::vector<OwnSegment>>& own) {
    const auto name = parse_name(info.name);
    if (!name || name->kind != NameKind::index_segment) return;
    const ObjectHeader header = read_object_header(info.name, beginning);
    const auto segment = reader_of(std::make_shared<StoredSource>(context_.store, info, std::move(beginning)),
                                   info.name, header, context_.keys);
    const auto is_dead = [&](const PackId& pack) {
        const auto found = gone.packs().find(pack);
        return found != gone.packs().end() && found->second.all_frames;
    };
    if (std::ranges::all_of(segment->packs(), is_dead)) {
        context_.store.remove(info.name, {});
        ++report_.deleted_index_segments;
        return;
    }
    if (!ours_to_sign(header)) return;
    const bool touched = std::ranges::any_of(segment->packs(),
                                             [&](const PackId& pack) { return gone.packs().contains(pack); });
    own[name->domain].push_back({info.name, info.size_bytes, segment->entries(), touched});
}

void Collection::join_segments(const DomainId& domain, std::vector<OwnSegment> segments,
                               const DoomedPacks& gone, std::uint32_t& next_segment) {
    while (!segments_stay_) {
        std::vector<std::uint64_t> entries;
        for (const OwnSegment& segment : segments) entries.push_back(segment.entries);
        const std::vector<std::size_t> chosen =
            choose_segments_to_merge(entries, settings_.index_segments_joined, small_segment_entries);
        if (chosen.empty()) break;
        std::vector<std::string> names;
        std::uint64_t bytes = 0;
        for (const std::size_t position : chosen) {
            OwnSegment& segment = segments[position];
            const bool full =
                names.size() == looked_at_together || bytes + segment.size_bytes > joined_together_bytes;
            if (full && !names.empty()) break;
            bytes += segment.size_bytes;
            names.push_back(std::exchange(segment.name, {}));
        }
        std::erase_if(segments, [](const OwnSegment& segment) { return segment.name.empty(); });
        rewrite_segments(domain, names, gone, next_segment);
    }
    for (const OwnSegment& segment : segments)
        if (segment.touched && !segments_stay_) rewrite_segments(domain, {segment.name}, gone, next_segment);
}

// Into one, or as many as hold them, without what is gone.
void Collection::rewrite_segments(const DomainId& domain, const std::vector<std::string>& names,
                                  const DoomedPacks& gone, std::uint32_t& next_segment) {
    std::vector<std::shared_ptr<SegmentReader>> segments;
    for (auto& [name, object] : get_each(names, {})) {
        noting_bad_segments([&] {
            // What is signed anew must have been signed by us before.
            check_object(name, object, context_.trust);
            const ObjectHeader header = read_object_header(name, object);
            if (!ours_to_sign(header)) return;
            segments.push_back(reader_of(std::make_shared<MemorySource>(std::move(object), name), name,
                                         header, context_.keys));
        });
    }
    std::string name;
    const auto next_identity = [&] {
        name = index_segment_name(domain, own_run_->id(), next_segment++);
        return identity_of(own_run_->structure_secret().view(), name);
    };
    const auto put = [&](SegmentBody body) {
        put_object(context_, name, sign_parts(ObjectKind::index_segment, name, body.joined(), *own_run_));
    };
    SegmentMergeOptions options;
    options.writer.temporary_directory = settings_.temporary_directory;
    noting_bad_segments([&] {
        merge_segments(
            segments, [&](const IndexEntry& entry) { return !gone.dooms(address_of(entry)); }, next_identity,
            put, options, stop_);
        segments_stay_ = true; // until one could be removed
        for (const auto& segment : segments) {
            context_.store.remove(segment->name(), {});
            ++report_.deleted_index_segments;
        }
        segments_stay_ = false;
    });
}

} // namespace holdfast
