#include "repository/index/segment_reader.h"

#include "base/error.h"

#include <algorithm>

namespace holdfast {

namespace {

// The first position whose key is not below `key`. Ids are hashes, so a key's rank is known up to its spread
// before the table is touched; the bracket around the guess grows until it holds.
std::size_t first_not_below(const std::vector<std::uint64_t>& keys, std::uint64_t key) {
    if (keys.empty()) return 0;
    __extension__ using Wide = unsigned __int128;
    std::size_t low = 0;
    std::size_t high = keys.size();
    const auto guess = static_cast<std::size_t>((Wide{key} * keys.size()) >> 64);
    std::size_t step = 8;
    if (keys[guess] < key) {
        low = guess + 1;
        for (std::size_t at = low + step; at < keys.size(); at = low + step) {
            if (keys[at] >= key) {
                high = at;
                break;
            }
            low = at + 1;
            step *= 2;
        }
    } else {
        high = guess;
        while (high - low > step) {
            const std::size_t at = high - step;
            if (keys[at] < key) {
                low = at + 1;
                break;
            }
            high = at;
            step *= 2;
        }
    }
    const auto begin = keys.begin();
    return static_cast<std::size_t>(std::lower_bound(begin + static_cast<std::ptrdiff_t>(low),
                                                     begin + static_cast<std::ptrdiff_t>(high), key) -
                                    begin);
}

SegmentHeader read_header(const ByteSource& body, std::string_view name) {
    std::array<Byte, segment_header_bytes> bytes;
    if (body.size() < bytes.size()) corrupt_segment(name, "it is too short");
    body.read(0, bytes);
    return SegmentHeader::parse(bytes, body.size(), name);
}

std::vector<PackId> parse_packs(ByteView bytes, std::string_view name) {
    std::vector<PackId> packs;
    packs.reserve(bytes.size() / PackBytes::size());
    ByteReader reader(bytes, name);
    while (!reader.at_end()) {
        const std::optional<PackId> pack = PackId::from_bytes(reader.fixed_bytes<PackBytes::size()>());
        if (!pack) corrupt_segment(name, "it names a pack that cannot be");
        packs.push_back(*pack);
    }
    return packs;
}

std::vector<std::uint64_t> parse_keys(ByteView bytes, std::string_view name) {
    std::vector<std::uint64_t> keys(bytes.size() / 8);
    ByteReader reader(bytes, name);
    for (std::uint64_t& key : keys) key = reader.u64();
    if (!std::is_sorted(keys.begin(), keys.end())) corrupt_segment(name, "its first keys are not in order");
    return keys;
}

} // namespace

SegmentReader::SegmentReader(std::shared_ptr<const ByteSource> body, const SegmentIdentity& identity,
                             SegmentReaderOptions options)
    : name_(identity.name),
      body_(std::move(body)),
      header_(read_header(*body_, name_)),
      cached_blocks_(std::max<std::size_t>(options.cached_blocks, 1)),
      aead_(identity.key.view()),
      block_associated_data_(segment_associated_data(name_, segment_first_block_part, {})) {
    // The pack table first: its tag proves the header too.
    const Bytes header = header_.encode();
    packs_ = parse_packs(
        load_part(segment_pack_table_part, header_.pack_table_offset(), header_.pack_table_bytes, header),
        name_);
    first_keys_ = parse_keys(
        load_part(segment_first_keys_part, header_.first_keys_offset(), header_.first_keys_bytes(), header),
        name_);
    if (options.load_filter) {
        filter_ = BloomFilter::from_bytes(
            load_part(segment_filter_part, header_.filter_offset(), header_.filter_bytes, header));
    }
    if (header_.blocks > 0) {
        first_key_ = first_keys_.front();
        const Bytes last = load_blocks(header_.blocks - 1, 1);
        last_key_ = segment_key_of(last.data() + last.size() - segment_record_bytes);
    }
}

Bytes SegmentReader::load_part(std::uint32_t part, std::uint64_t offset, std::uint64_t size,
                               ByteView header) {
    Bytes sealed(static_cast<std::size_t>(size) + aead_tag_bytes);
    body_->read(offset, sealed);
    Bytes plain(static_cast<std::size_t>(size));
    if (!aead_.open(part, segment_associated_data(name_, part, header), sealed, plain)) {
        corrupt_segment(name_, "part " + std::to_string(part) + " is not as it was written");
    }
    return plain;
}

void SegmentReader::open_block(std::uint32_t number, ByteView sealed, MutableByteView out) {
    blocks_read_.fetch_add(1, std::memory_order_relaxed);
    if (!aead_.open(segment_first_block_part + number, block_associated_data_, sealed, out)) {
        corrupt_segment(name_, "block " + std::to_string(number) + " is not as it was written");
    }
}

const Bytes& SegmentReader::block(std::uint32_t number) {
    ++uses_;
    for (CachedBlock& cached : cache_) {
        if (cached.number == number && !cached.records.empty()) {
            cached.last_use = uses_;
            return cached.records;
        }
    }
    if (cache_.size() < cached_blocks_) cache_.emplace_back();
    CachedBlock& oldest = *std::min_element(
        cache_.begin(), cache_.end(), [](const auto& a, const auto& b) { return a.last_use < b.last_use; });
    // Empty until it is proven, so that a failure leaves nothing half-done behind.
    Bytes records = std::exchange(oldest.records, {});
    records.resize(header_.entries_in_block(number) * segment_record_bytes);
    sealed_.resize(records.size() + aead_tag_bytes);
    body_->read(header_.block_offset(number), sealed_);
    open_block(number, sealed_, records);
    oldest = {.number = number, .last_use = uses_, .records = std::move(records)};
    return oldest.records;
}

IndexEntry SegmentReader::entry_of(const SegmentRecord& record) const {
    if (record.pack >= packs_.size())
        corrupt_segment(name_, "an entry names a pack that is not in its table");
    return {.id = record.id,
            .location = {.pack = packs_[record.pack],
                         .frame = record.frame,
                         .offset = record.offset,
                         .length = record.length}};
}

void SegmentReader::lookup(const BlobId& id, std::vector<IndexEntry>& found) {
    const std::uint64_t key = segment_key_of(id.bytes.data());
    const std::size_t position = first_not_below(first_keys_, key);
    const std::scoped_lock lock(mutex_);
    // Equal ids may go on into the next block; mostly its first key is larger.
    for (std::size_t number = position == 0 ? 0 : position - 1; number < first_keys_.size(); ++number) {
        if (first_keys_[number] > key) break;
        const Bytes& records = block(static_cast<std::uint32_t>(number));
        const std::size_t count = records.size() / segment_record_bytes;
        const auto compare = [&](std::size_t at) {
            return std::memcmp(records.data() + at * segment_record_bytes, id.bytes.data(), BlobId::size());
        };
        std::size_t low = 0;
        for (std::size_t high = count; low < high;) {
            const std::size_t middle = (low + high) / 2;
            if (compare(middle) < 0) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        for (; low < count && compare(low) == 0; ++low) {
            found.push_back(entry_of(SegmentRecord::decode(records.data() + low * segment_record_bytes)));
        }
        if (low < count) break;
    }
}

Bytes SegmentReader::load_blocks(std::uint32_t first, std::uint32_t count) {
    if (first >= header_.blocks) return {};
    count = std::min(count, header_.blocks - first);
    const std::uint64_t begin = header_.block_offset(first);
    const std::uint64_t last_bytes =
        header_.entries_in_block(first + count - 1) * segment_record_bytes + aead_tag_bytes;
    Bytes sealed(static_cast<std::size_t>(header_.block_offset(first + count - 1) + last_bytes - begin));
    body_->read(begin, sealed);
    Bytes records(sealed.size() - count * aead_tag_bytes);
    std::size_t from = 0;
    std::size_t to = 0;
    const std::scoped_lock lock(mutex_);
    for (std::uint32_t number = first; number < first + count; ++number) {
        const std::size_t size = header_.entries_in_block(number) * segment_record_bytes;
        open_block(number, ByteView(sealed).subspan(from, size + aead_tag_bytes),
                   MutableByteView(records).subspan(to, size));
        from += size + aead_tag_bytes;
        to += size;
    }
    return records;
}

std::size_t SegmentReader::memory_bytes() const {
    const std::scoped_lock lock(mutex_);
    std::size_t bytes = sizeof *this + packs_.capacity() * sizeof(PackId) + first_keys_.capacity() * 8 +
                        filter_bytes() + sealed_.capacity() + cache_.capacity() * sizeof(CachedBlock);
    for (const CachedBlock& cached : cache_) bytes += cached.records.capacity();
    return bytes;
}

SegmentCursor::SegmentCursor(SegmentReader& reader, std::size_t read_ahead_bytes)
    : reader_(reader),
      blocks_at_once_(static_cast<std::uint32_t>(std::clamp<std::size_t>(
          read_ahead_bytes / (segment_block_entries * segment_record_bytes), 1, 1024))) {}

std::optional<IndexEntry> SegmentCursor::next() {
    if (position_ == records_.size()) {
        position_ = 0;
        records_ = reader_.load_blocks(next_block_, blocks_at_once_);
        next_block_ += blocks_at_once_;
        if (records_.empty()) return std::nullopt;
    }
    const SegmentRecord record = SegmentRecord::decode(records_.data() + position_);
    position_ += segment_record_bytes;
    if (record.id < last_) corrupt_segment(reader_.name(), "its entries are not in order");
    last_ = record.id;
    return reader_.entry_of(record);
}

} // namespace holdfast
