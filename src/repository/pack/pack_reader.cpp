#include "repository/pack/pack_reader.h"

#include "base/error.h"
#include "repository/compression.h"
#include "repository/moved_pack.h"
#include "repository/pack/pack_seal.h"

#include <fmt/format.h>

namespace holdfast {

namespace {

// One request for a pack's end usually brings its whole tail.
constexpr std::uint64_t first_tail_read_bytes = 32u << 10;
// Frames closer than this are fetched together: a request costs more than the bytes between.
constexpr std::uint64_t largest_gap_bytes = 256u << 10;
constexpr std::uint64_t largest_fetch_bytes = 8u << 20;

Error pack_error(const std::string& name, std::string_view what) {
    return Error(
        ErrorCode::corrupt, fmt::format("{}: {}", name, what),
        "run 'holdfast verify --read-data' to see what else is damaged, and restore this object from a copy");
}

// One a thread: making one costs more than decompressing a small frame.
Decompressor& decompressor() {
    thread_local Decompressor instance;
    return instance;
}

// What a thread has read frames into last: new memory for each would be cleared, and asked of the system.
template <typename Buffers>
class Reused {
  public:
    Reused() : buffers(std::move(spare())) {}
    ~Reused() { spare() = std::move(buffers); }
    Reused(const Reused&) = delete;
    Reused& operator=(const Reused&) = delete;

    Buffers buffers;

  private:
    static Buffers& spare() {
        thread_local Buffers last;
        return last;
    }
};

// The key of a pack's frames. Deriving one costs as much as opening a small frame, and frames are mostly read
// pack by pack, so each thread keeps the last one; a pack's id commits to its key, so it can be no other's.
Aead& key_of(const KeyRing& keys, const PackId& origin, const Envelope& envelope) {
    struct Last {
        const KeyRing* keys;
        PackId pack;
        Aead key;
    };
    thread_local std::optional<Last> last;
    if (!last || last->keys != &keys || last->pack != origin) {
        const std::shared_ptr<const Secret> secret = origin.kind == metadata_pack
                                                         ? keys.structure_secret_for(envelope)
                                                         : keys.content_secret_for(envelope);
        last.emplace(Last{&keys, origin, frame_key(secret->view(), origin)});
    }
    return last->key;
}

} // namespace

std::optional<std::size_t> LoadedPack::find(const FrameAddress& address) const {
    if (tail.origins.empty()) {
        if (address.pack == id && address.frame < tail.frames.size()) return address.frame;
        return std::nullopt;
    }
    for (std::size_t i = 0; i < tail.frames.size(); ++i) {
        if (tail.frames[i].number == address.frame && origins[tail.frames[i].origin] == address.pack)
            return i;
    }
    return std::nullopt;
}

std::size_t LoadedPack::memory_bytes() const {
    std::size_t bytes = sizeof *this + origins.size() * (sizeof(PackId) + 256);
    for (const FrameRecord& frame : tail.frames)
        bytes += sizeof frame + 8 + frame.blobs.size() * sizeof(BlobRecord);
    return bytes;
}

PackReader::PackReader(Store& store, const KeyRing& keys, std::size_t table_cache_bytes)
    : store_(store), keys_(keys), packs_(table_cache_bytes), moved_(1u << 20) {}

std::shared_ptr<const LoadedPack> PackReader::load(const PackId& id) {
    {
        const std::scoped_lock lock(mutex_);
        if (auto* known = packs_.find(id)) return *known;
    }
    std::shared_ptr<const LoadedPack> pack = in_context(id.name(), [&] { return fetch(id); });
    if (pack) {
        const std::scoped_lock lock(mutex_);
        packs_.put(id, pack, pack->memory_bytes());
    }
    return pack;
}

std::shared_ptr<const LoadedPack> PackReader::fetch(const PackId& id) {
    auto pack = std::make_shared<LoadedPack>();
    pack->id = id;
    pack->name = id.name();
    const std::optional<ObjectInfo> info = store_.head(pack->name, {});
    if (!info) return nullptr;
    pack->size_bytes = info->size_bytes;
    if (pack->size_bytes < pack_footer_bytes || pack->size_bytes > max_pack_bytes) {
        throw Error(ErrorCode::corrupt, "its size is not that of a pack");
    }

    const std::uint64_t end_bytes = std::min(first_tail_read_bytes, pack->size_bytes);
    std::optional<Bytes> end = store_.get(pack->name, {pack->size_bytes - end_bytes, end_bytes}, {});
    if (!end) return nullptr; // a collector was quicker
    if (end->size() != end_bytes) throw Error(ErrorCode::corrupt, "it is shorter than the store says");
    const PackFooter footer = parse_pack_footer(*end);
    const std::uint64_t wanted = footer.tail_length + pack_footer_bytes;
    if (wanted > pack->size_bytes) throw Error(ErrorCode::corrupt, "its tail is longer than itself");
    if (wanted > end_bytes) {
        end = store_.get(pack->name, {pack->size_bytes - wanted, wanted}, {});
        if (!end) return nullptr;
        if (end->size() != wanted) throw Error(ErrorCode::corrupt, "it is shorter than the store says");
    }
    const std::optional<Bytes> begin = store_.get(pack->name, {0, max_pack_header_bytes}, {});
    if (!begin) return nullptr;

    const ParsedPackHeader parsed = parse_pack_header(*begin);
    if (parsed.header.pack != id) throw Error(ErrorCode::corrupt, "another pack lies under its name");
    if (parsed.header.envelope.run() != id.run)
        throw Error(ErrorCode::corrupt, "its envelope is that of another run");
    pack->writer = parsed.header.writer;
    pack->digest = footer.digest;
    pack->signature = footer.signature;
    const ByteView tail = ByteView(*end).last(wanted).first(footer.tail_length);
    pack->tail = open_pack_tail(tail, keys_.structure_secret_for(parsed.header.envelope)->view(), id);

    pack->origins.push_back(id);
    pack->envelopes.push_back(parsed.header.envelope);
    if (!pack->tail.origins.empty()) {
        pack->origins.clear();
        pack->envelopes.clear();
        for (PackOrigin& origin : pack->tail.origins) {
            pack->origins.push_back(origin.pack);
            pack->envelopes.push_back(std::move(origin.envelope));
        }
    }
    std::uint64_t offset = parsed.size_bytes;
    for (const FrameRecord& frame : pack->tail.frames) {
        pack->offsets.push_back(offset);
        offset += frame.stored_length;
    }
    if (offset + wanted != pack->size_bytes)
        throw Error(ErrorCode::corrupt, "its frames do not add up to its size");
    return pack;
}

std::vector<PackId> PackReader::moved_to(const PackId& id) {
    {
        const std::scoped_lock lock(mutex_);
        if (auto* known = moved_.find(id)) return *known;
    }
    std::vector<PackId> targets;
    for (const std::string& name : read_moved(store_, id)) {
        if (const std::optional<PackId> target = PackId::from_name(name)) targets.push_back(*target);
    }
    const std::scoped_lock lock(mutex_);
    moved_.put(id, targets, 64 * (targets.size() + 1));
    return targets;
}

std::shared_ptr<const LoadedPack> PackReader::holder_of(const FrameAddress& address) {
    std::vector<PackId> candidates{address.pack};
    for (unsigned step = 0; step < most_moves && !candidates.empty(); ++step) {
        std::vector<PackId> next;
        for (const PackId& candidate : candidates) {
            if (std::shared_ptr<const LoadedPack> pack = load(candidate)) {
                if (pack->find(address)) return pack;
                continue;
            }
            const std::vector<PackId> targets = moved_to(candidate);
            next.insert(next.end(), targets.begin(), targets.end());
        }
        candidates = std::move(next);
    }
    throw pack_error(address.pack.name(),
                     fmt::format("frame {} is missing: the pack is gone or does not hold it", address.frame));
}

// Proves all of a frame, and decompresses the beginning that is wanted, into `buffers`.
ByteView PackReader::open_frame(const LoadedPack& pack, std::size_t position, ByteView stored,
                                std::uint32_t raw_bytes, Buffers& buffers) const {
    const FrameRecord& frame = pack.tail.frames[position];
    const PackId& origin = pack.origins[frame.origin];
    Bytes& plain = buffers.plain;
    plain.resize(frame.stored_length - aead_tag_bytes);
    if (stored.size() != frame.stored_length ||
        !key_of(keys_, origin, pack.envelopes[frame.origin])
             .open(frame.number, frame_associated_data(origin, frame.number, frame.raw_length, frame.codec),
                   stored, plain)) {
        throw pack_error(pack.name, fmt::format("frame {} is not what its writer sealed", frame.number));
    }
    if (frame.codec == Codec::stored) return plain;
    Bytes& raw = buffers.raw;
    raw.resize(std::min(frame.raw_length, raw_bytes));
    in_context(pack.name,
               [&] { decompressor().decompress_beginning(frame.codec, plain, frame.raw_length, raw); });
    return raw;
}

Bytes PackReader::read_frame(const FrameAddress& address) {
    Bytes result;
    const FramePart part{address};
    read_frames(std::span(&part, 1),
                [&](const FrameAddress&, ByteView raw) { result.assign(raw.begin(), raw.end()); });
    return result;
}

void PackReader::read_frames(std::span<const FramePart> parts,
                             const std::function<void(const FrameAddress&, ByteView raw)>& take) {
    Reused<Buffers> reused;
    unsigned vanished = 0;
    for (std::size_t first = 0; first < parts.size();) {
        const std::shared_ptr<const LoadedPack> pack = holder_of(parts[first].frame);
        const std::size_t start = *pack->find(parts[first].frame);
        const std::uint64_t begin = pack->offsets[start];
        std::uint64_t end = begin + pack->tail.frames[start].stored_length;
        std::vector<std::size_t> positions{start};
        while (first + positions.size() < parts.size()) {
            const std::optional<std::size_t> next = pack->find(parts[first + positions.size()].frame);
            if (!next || pack->offsets[*next] < end || pack->offsets[*next] - end > largest_gap_bytes) break;
            const std::uint64_t next_end = pack->offsets[*next] + pack->tail.frames[*next].stored_length;
            if (next_end - begin > largest_fetch_bytes) break;
            end = next_end;
            positions.push_back(*next);
        }
        const std::optional<Bytes> bytes = store_.get(pack->name, {begin, end - begin}, {});
        if (!bytes && ++vanished <= most_moves) {
            // Moved since its table was read. Whoever has its frames now is found anew.
            const std::scoped_lock lock(mutex_);
            packs_.erase(pack->id);
            continue;
        }
        if (!bytes || bytes->size() != end - begin)
            throw pack_error(pack->name, "it is gone or was cut short");
        for (const std::size_t position : positions) {
            const ByteView stored = ByteView(*bytes).subspan(pack->offsets[position] - begin,
                                                             pack->tail.frames[position].stored_length);
            take(parts[first].frame,
                 open_frame(*pack, position, stored, parts[first].raw_bytes, reused.buffers));
            ++first;
        }
    }
}

} // namespace holdfast
