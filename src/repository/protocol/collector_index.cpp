// C8: index segments are rid of entries whose frames are gone.
//
// An index is a hint, so that nothing here can lose anything; what matters is whose hints they are. A writer
// believes the segments of his own slot without reading the frames. So entries of others are never written
// again under our signature: their segments go when all of their entries are dead, and stay until then. Only
// those of our own slot are rewritten.

#include "base/error.h"
#include "repository/index/segment_merge.h"
#include "repository/index/segment_reader.h"
#include "repository/object.h"
#include "repository/protocol/collection.h"
#include "repository/protocol/protocol_object.h"

#include <algorithm>

namespace holdfast {

namespace {

// An object of the store, read in ranges as they are needed.
class StoredSource final : public ByteSource {
  public:
    StoredSource(Store& store, std::string name, std::uint64_t size_bytes)
        : store_(store), name_(std::move(name)), size_bytes_(size_bytes) {}
    std::uint64_t size() const override { return size_bytes_; }
    void read(std::uint64_t offset, MutableByteView out) const override {
        const std::optional<Bytes> bytes = store_.get(name_, {offset, out.size()}, {});
        if (!bytes || bytes->size() != out.size())
            throw Error(ErrorCode::corrupt, name_ + " is gone or was cut short");
        std::ranges::copy(*bytes, out.begin());
    }

  private:
    Store& store_;
    std::string name_;
    std::uint64_t size_bytes_;
};

SegmentIdentity identity_of(ByteView structure_secret, const std::string& name) {
    return {object_key(structure_secret, ObjectKind::index_segment, name), name};
}

FrameAddress address_of(const IndexEntry& entry) { return {entry.location.pack, entry.location.frame}; }

} // namespace

void Collection::maintain_index() {
    DoomedPacks gone = verdict_.earlier;
    gone.merge(verdict_.doomed);
    std::uint32_t next_segment = 0;
    for (const ObjectInfo& info : context_.store.list_all(std::string(index_prefix))) {
        const auto name = parse_name(info.name);
        if (!name || name->kind != NameKind::index_segment) continue;
        try {
            look_at_segment(info, *name, gone, next_segment);
        } catch (const Error& error) {
            if (error.code() != ErrorCode::corrupt && error.code() != ErrorCode::incompatible &&
                error.code() != ErrorCode::wrong_key && error.code() != ErrorCode::access_denied) {
                throw;
            }
            report_.problems.push_back(error.message());
        }
    }
}

void Collection::look_at_segment(const ObjectInfo& info, const ObjectName& name, const DoomedPacks& gone,
                                 std::uint32_t& next_segment) {
    const auto source = std::make_shared<StoredSource>(context_.store, info.name, info.size_bytes);
    Bytes beginning(std::min<std::uint64_t>(info.size_bytes, object_header_limit_bytes));
    source->read(0, beginning);
    const ObjectHeader header = read_object_header(info.name, beginning);
    const auto secret = context_.keys.structure_secret_for(*header.envelope);
    const auto segment = std::make_shared<SegmentReader>(
        std::make_shared<WindowSource>(source, header.body_offset, header.body_bytes),
        identity_of(secret->view(), info.name),
        SegmentReaderOptions{.load_filter = false, .cached_blocks = 1});
    const auto is_dead = [&](const PackId& pack) {
        const auto found = gone.packs().find(pack);
        return found != gone.packs().end() && found->second.all_frames;
    };
    if (std::ranges::all_of(segment->packs(), is_dead)) {
        context_.store.remove(info.name, {});
        ++report_.deleted_index_segments;
        return;
    }
    const bool touched = std::ranges::any_of(segment->packs(),
                                             [&](const PackId& pack) { return gone.packs().contains(pack); });
    const bool ours = header.writer == context_.keys.slot() && name.owner != own_run_->id();
    if (!touched || !ours) return;
    // Only now the whole of it: what is signed anew must have been signed by us before.
    const std::optional<Bytes> object = context_.store.get(info.name, {}, {});
    if (!object) return;
    check_object(info.name, *object, context_.trust);
    const auto whole = std::make_shared<MemorySource>(*object, info.name);
    const auto signed_segment = std::make_shared<SegmentReader>(
        std::make_shared<WindowSource>(whole, header.body_offset, header.body_bytes),
        identity_of(secret->view(), info.name),
        SegmentReaderOptions{.load_filter = false, .cached_blocks = 1});
    rewrite_segment(name.domain, signed_segment, gone, next_segment);
}

void Collection::rewrite_segment(const DomainId& domain, const std::shared_ptr<SegmentReader>& segment,
                                 const DoomedPacks& gone, std::uint32_t& next_segment) {
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
    merge_segments(
        {segment}, [&](const IndexEntry& entry) { return !gone.dooms(address_of(entry)); }, next_identity,
        put, options);
    context_.store.remove(segment->name(), {});
    ++report_.deleted_index_segments;
}

} // namespace holdfast
