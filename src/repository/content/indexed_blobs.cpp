#include "repository/content/indexed_blobs.h"

#include "base/error.h"
#include "crypto/hash.h"
#include "repository/node/node.h"
#include "repository/object.h"
#include "repository/trust.h"

#include <algorithm>
#include <utility>

namespace holdfast {

namespace {

constexpr std::uint64_t least_early_packs = 4;

Bytes whole(const ByteSource& source) {
    Bytes bytes(source.size());
    source.read(0, bytes);
    return bytes;
}

// Whom a holder takes at his word: himself, but not what he gathered from the packs of others.
SegmentAuthor author_of(const ObjectHeader& header, const SlotId& slot) {
    const bool gathered = header.envelope->mode == EnvelopeMode::structure_only;
    return header.writer == slot && !gathered ? SegmentAuthor::own : SegmentAuthor::other;
}

Location to_location(const BlobLocation& location) {
    return {{location.pack, location.frame}, location.offset, location.length};
}

} // namespace

IndexedBlobs::IndexedBlobs(const Parts& parts)
    : parts_(parts),
      domain_id_(domain_id(parts.domain)),
      domain_key_(parts.context.keys.identity_key_of(parts.domain)),
      index_(IndexLimits{}, parts.logger),
      cache_(parts.cache_directory, SegmentCacheLimits{}, parts.context.store, parts.context.clock,
             parts.logger),
      last_segment_(parts.context.clock.steady()) {}

IndexedBlobs::~IndexedBlobs() = default;

std::optional<Location> IndexedBlobs::find(const BlobId& id, std::uint32_t length) {
    if (!loaded_) load();
    if (early_segment_due()) put_early_segment();
    const IndexSet::Claim claim =
        index_.claim(id, [&](const IndexHit& hit) { return accept(id, length, hit); });
    switch (claim.result) {
    case IndexSet::ClaimResult::known:
        return to_location(claim.location);
    case IndexSet::ClaimResult::ours:
        return std::nullopt;
    case IndexSet::ClaimResult::in_flight:
        break;
    }
    throw Error(ErrorCode::internal, "a blob was asked for twice before it was placed");
}

void IndexedBlobs::add(const BlobId& id, const Location& location) {
    index_.place(id, {location.frame.pack, location.frame.frame, location.offset, location.length});
}

void IndexedBlobs::load() {
    loaded_ = true;
    const std::string prefix = std::string(index_prefix) + domain_id_.hex() + "/";
    for (const ObjectInfo& object : parts_.context.store.list_all(prefix, call())) load_segment(object.name);
}

// Enough of an object to read its header; nothing when it is gone.
std::optional<Bytes> IndexedBlobs::beginning_of(const std::string& name) {
    if (!cache_.has(name))
        return parts_.context.store.get(name, {.offset = 0, .length = object_header_limit_bytes}, call());
    const std::shared_ptr<const ByteSource> object = cache_.open(name, [](const ByteSource&) {}, call());
    if (!object) return std::nullopt;
    Bytes beginning(std::min<std::uint64_t>(object->size(), object_header_limit_bytes));
    object->read(0, beginning);
    return beginning;
}

bool IndexedBlobs::is_of_use(const std::string& name, const ObjectHeader& header) {
    if (!parts_.context.trust.may_write(header.writer, ObjectKind::index_segment, header.run)) {
        parts_.logger.warning("index segment passed over",
                              {{"object", name}, {"reason", "nobody trusted wrote it"}});
        return false;
    }
    // Claims are read before they are believed (prove()).
    return header.writer == parts_.context.keys.slot() || parts_.context.keys.reads_content();
}

// A segment that is damaged or that nobody trusted signed is passed over: what it names is stored again.
void IndexedBlobs::load_segment(const std::string& name) {
    const auto name_parts = parse_name(name);
    if (!name_parts || name_parts->kind != NameKind::index_segment) return;
    try {
        const std::optional<Bytes> claimed = beginning_of(name);
        if (!claimed) return; // removed since it was listed
        const ObjectHeader claim = read_object_header(name, *claimed);
        if (!is_of_use(name, claim)) return;
        parts_.context.keys.structure_secret_for(*claim.envelope);
        const auto check = [&](const ByteSource& object) {
            check_object(name, whole(object), parts_.context.trust);
        };
        const std::shared_ptr<const ByteSource> object = cache_.open(name, check, call());
        if (!object) return;
        // Read again from what was proven: the claim above only decided about the download.
        Bytes beginning(std::min<std::uint64_t>(object->size(), object_header_limit_bytes));
        object->read(0, beginning);
        const ObjectHeader header = read_object_header(name, beginning);
        const std::shared_ptr<const Secret> secret =
            parts_.context.keys.structure_secret_for(*header.envelope);
        const bool whole_segment =
            index_.add_segment(std::make_shared<WindowSource>(object, header.body_offset, header.body_bytes),
                               {object_key(secret->view(), ObjectKind::index_segment, name), name},
                               author_of(header, parts_.context.keys.slot()));
        if (!whole_segment) cache_.remove(name);
    } catch (const Error& error) {
        if (error.retryable() || error.code() == ErrorCode::cancelled) throw;
        if (error.code() == ErrorCode::wrong_key) return; // a machine's that this one cannot read
        cache_.remove(name);
        parts_.logger.warning("index segment passed over", {{"object", name}, {"reason", error.message()}});
    }
}

bool IndexedBlobs::accept(const BlobId& id, std::uint32_t length, const IndexHit& hit) {
    if (hit.location.length != length) return false;
    // Nobody else can know what this run has placed.
    if (hit.location.pack.run == parts_.run.id()) return hit.author == SegmentAuthor::own;
    if (!parts_.session.may_reuse({hit.location.pack, hit.location.frame})) return false;
    return hit.author == SegmentAuthor::own || prove(id, hit.location);
}

// What is only claimed is used after it was read and hashed.
bool IndexedBlobs::prove(const BlobId& id, const BlobLocation& location) {
    const FrameAddress frame{location.pack, location.frame};
    if (proven_frame_ != frame) {
        proven_frame_.reset();
        try {
            proven_bytes_ = parts_.packs.read_frame(frame);
        } catch (const Error& error) {
            if (error.retryable() || error.code() == ErrorCode::cancelled) throw;
            parts_.logger.warning("index entry does not hold",
                                  {{"pack", location.pack.name()}, {"reason", error.message()}});
            return false;
        }
        proven_frame_ = frame;
    }
    if (location.offset > proven_bytes_.size() || location.length > proven_bytes_.size() - location.offset)
        return false;
    const ByteView bytes = ByteView(proven_bytes_).subspan(location.offset, location.length);
    return location.pack.kind == metadata_pack ? node_id(bytes) == id
                                               : keyed_hash<24>(domain_key_.view(), bytes) == id;
}

void IndexedBlobs::put_segments() {
    while (put_segment()) {
    }
    drop_early_segment();
}

SegmentIdentity IndexedBlobs::identity_of(const std::string& name) const {
    return {object_key(parts_.run.structure_secret().view(), ObjectKind::index_segment, name), name};
}

Bytes IndexedBlobs::make_segment(const std::string& name, std::vector<IndexEntry>& entries) {
    SegmentWriterOptions options;
    options.temporary_directory = parts_.temporary_directory;
    Bytes object = sign_parts(ObjectKind::index_segment, name,
                              encode_segment(identity_of(name), entries, options).joined(), parts_.run);
    stored_bytes_ += object.size();
    return object;
}

// False when there was nothing to put.
bool IndexedBlobs::put_segment() {
    named_packs_ = stored_packs_;
    last_segment_ = parts_.context.clock.steady();
    std::vector<IndexEntry> entries = index_.spillable();
    if (entries.empty()) return false;
    const std::string name = index_segment_name(domain_id_, parts_.run.id(), next_segment_++);
    const Bytes object = make_segment(name, entries);
    parts_.context.store.put(name, object, PutOptions{}, call());
    const ByteView piece(object);
    cache_.insert(name, std::span(&piece, 1));

    // From here on it is searched like any other, on disk if this machine can keep it there.
    std::shared_ptr<const ByteSource> kept;
    try {
        kept = cache_.open(name, [](const ByteSource&) {}, call());
    } catch (const Error& error) {
        parts_.logger.warning("cache not usable", {{"reason", error.message()}});
    }
    const ObjectHeader header =
        read_object_header(name, ByteView(object).first(std::min(object.size(), object_header_limit_bytes)));
    const auto searched_in = [&](std::shared_ptr<const ByteSource> source) {
        return index_.spilled(
            entries, std::make_shared<WindowSource>(std::move(source), header.body_offset, header.body_bytes),
            identity_of(name));
    };
    if (kept && searched_in(kept)) return true;
    if (kept) cache_.remove(name);
    // Entries that no segment took would be put again and again.
    if (!searched_in(std::make_shared<MemorySource>(object, name)))
        throw Error(ErrorCode::internal, name + ": a new index segment cannot be read back");
    return true;
}

// Where they cannot be removed again, there are to be few: every later backup asks all of them.
bool IndexedBlobs::early_segment_due() const {
    const std::uint64_t packs = stored_packs_;
    const std::uint64_t least = removes_ ? least_early_packs : std::max(least_early_packs, packs / 32);
    return packs - named_packs_ >= least &&
           parts_.context.clock.steady() - last_segment_ >= parts_.segment_interval;
}

// Names all that lies in stored packs and no lasting segment names; the entries stay where they are. One such
// segment takes the place of another until a lasting one does.
void IndexedBlobs::put_early_segment() {
    if (!removes_) return put_segments();
    named_packs_ = stored_packs_;
    last_segment_ = parts_.context.clock.steady();
    std::vector<IndexEntry> entries = index_.spillable();
    if (entries.empty()) return;
    std::string name = index_segment_name(domain_id_, parts_.run.id(), next_segment_++);
    const Bytes object = make_segment(name, entries);
    parts_.context.store.put(name, object, PutOptions{}, call());
    drop_early_segment();
    early_segment_ = {std::move(name), object.size()};
}

void IndexedBlobs::drop_early_segment() {
    const std::optional<EarlySegment> early = std::exchange(early_segment_, std::nullopt);
    if (!early) return;
    try {
        parts_.context.store.remove(early->name, call());
        stored_bytes_ -= early->size_bytes;
    } catch (const Error& error) {
        // It is a hint like any other.
        if (error.code() == ErrorCode::cancelled) throw;
        if (!error.retryable()) removes_ = false;
    }
}

} // namespace holdfast
