// Packs read whole: digest, frames, blobs.

#include "base/bounded_queue.h"
#include "base/error.h"
#include "crypto/hash.h"
#include "repository/compression.h"
#include "repository/node/node.h"
#include "repository/trust.h"
#include "service/buffered_pack.h"
#include "service/verification.h"

#include <algorithm>

#include <fmt/format.h>

namespace holdfast {

namespace {

// Larger packs than any that is written are read in pieces, so that what somebody puts there cannot fill the
// memory.
constexpr std::uint64_t largest_whole_bytes = std::uint64_t{32} << 20;
constexpr std::uint64_t piece_bytes = std::uint64_t{4} << 20;
constexpr std::size_t waiting_bytes = std::size_t{32} << 20;
constexpr unsigned fetchers = 3;

struct FetchedPack {
    PackId id;
    std::string name;
    std::uint64_t listed_bytes = 0;
    std::optional<Bytes> bytes; // none: to be read in pieces
};

// Names of all domains that somebody may have written in.
std::set<std::string> domains_of(const Trust& trust, const SnapshotList& list) {
    std::set<std::string> domains;
    for (const SlotRecord* slot : trust.active_slots()) domains.insert(slot->domain);
    for (const Revocation* removed : trust.revocations()) domains.insert(removed->domain);
    for (const Snapshot& snapshot : list.snapshots) domains.insert(snapshot.domain);
    return domains;
}

Error damaged(std::string_view what) {
    return Error(ErrorCode::corrupt, std::string(what), "restore this pack from a copy of the repository");
}

} // namespace

// One a thread: its buffers and contexts serve all packs. What lies in a frame is hashed while it is in the
// processor's cache: first as a part of the pack, then opened, then blob by blob.
class PackContentCheck {
  public:
    explicit PackContentCheck(Verification& verification)
        : v_(verification),
          reads_content_(verification.repository_.keys().reads_content()),
          digest_(Hasher::derive("holdfast pack digest 1")),
          node_(Hasher::derive("holdfast node 1")),
          buffer_(std::make_unique<BufferedPack>()),
          plain_(max_frame_bytes),
          raw_(max_frame_bytes) {
        const KeyRing& keys = v_.repository_.keys();
        for (const std::string& domain : domains_of(v_.context_->trust, v_.list_)) {
            try {
                blobs_.push_back(Hasher::keyed(keys.identity_key_of(domain).view()));
            } catch (const Error& error) {
                if (error.code() != ErrorCode::wrong_key) throw;
            }
        }
    }

    void check(FetchedPack fetched) {
        name_ = fetched.name;
        size_bytes_ = fetched.bytes ? fetched.bytes->size() : fetched.listed_bytes;
        whole_ = fetched.bytes.has_value();
        digest_.reset();
        hashed_bytes_ = 0;
        if (whole_) buffer_->hold(fetched.name, std::move(*fetched.bytes));
        try {
            if (size_bytes_ > max_pack_bytes || size_bytes_ < pack_footer_bytes)
                throw damaged("its size is not that of a pack");
            Store& store = whole_ ? static_cast<Store&>(*buffer_) : v_.repository_.store();
            PackReader reader(store, v_.repository_.keys(), 0);
            std::shared_ptr<const LoadedPack> pack;
            try {
                pack = reader.load(fetched.id);
            } catch (const Error& error) {
                if (error.code() != ErrorCode::wrong_key) throw;
                check_closed(error, fetched.id);
            }
            if (pack) check_open(*pack);
            ++v_.packs_read_;
            v_.bytes_read_ += size_bytes_;
            if (pack) {
                const std::scoped_lock lock(v_.mutex_);
                v_.whole_packs_.insert(fetched.id);
            }
        } catch (const Error& error) {
            v_.findings_.take(error.hint().empty() ? damaged(error.message()) : error, name_);
            const std::scoped_lock lock(v_.mutex_);
            v_.unreadable_packs_.insert(fetched.id);
        }
        if (whole_) buffer_->hold({}, {}); // frees it before the next one is waited for
    }

  private:
    // The bytes of the pack from `begin` to `end`; they are valid until the next call.
    ByteView range(std::uint64_t begin, std::uint64_t end) {
        if (whole_) return buffer_->bytes().subspan(begin, end - begin);
        std::optional<Bytes> piece = v_.repository_.store().get(name_, {begin, end - begin}, {});
        if (!piece || piece->size() != end - begin) throw damaged("it is shorter than the store says");
        piece_ = std::move(*piece);
        return piece_;
    }

    void hash_up_to(std::uint64_t end) {
        while (hashed_bytes_ < end) {
            const std::uint64_t next = std::min(end, hashed_bytes_ + piece_bytes);
            digest_.update(range(hashed_bytes_, next));
            hashed_bytes_ = next;
        }
    }

    bool digest_matches(const FixedBytes<32>& expected) {
        hash_up_to(digested_bytes());
        return digest_.finish<32>() == expected;
    }
    std::uint64_t digested_bytes() const { return size_bytes_ - pack_footer_bytes + sizeof(std::uint32_t); }

    // Without the key to its table.
    void check_closed(const Error& why, const PackId& id) {
        v_.findings_.take(why, name_);
        {
            const std::scoped_lock lock(v_.mutex_);
            v_.closed_packs_.insert(id);
        }
        const ParsedPackHeader header =
            parse_pack_header(range(0, std::min<std::uint64_t>(size_bytes_, max_pack_header_bytes)));
        const SlotId writer = header.header.writer;
        const PackFooter footer = parse_pack_footer(range(size_bytes_ - pack_footer_bytes, size_bytes_));
        if (!digest_matches(footer.digest))
            throw damaged("its bytes do not have the digest that its writer signed");
        v_.check_signature(name_, id, writer, footer.digest, footer.signature);
    }

    void check_open(const LoadedPack& pack) {
        v_.check_table(pack);
        keys_.clear();
        keys_.resize(pack.origins.size());
        const bool opens = pack.id.kind == metadata_pack || reads_content_;
        for (std::size_t first = 0; first < pack.tail.frames.size();) {
            hash_up_to(pack.offsets[first]);
            std::size_t last = first;
            const auto end_of = [&](std::size_t i) {
                return pack.offsets[i] + pack.tail.frames[i].stored_length;
            };
            while (last + 1 < pack.tail.frames.size() &&
                   end_of(last + 1) - pack.offsets[first] <= group_bytes())
                ++last;
            const ByteView group = range(pack.offsets[first], end_of(last));
            for (std::size_t i = first; i <= last; ++i) {
                const ByteView stored =
                    group.subspan(pack.offsets[i] - pack.offsets[first], pack.tail.frames[i].stored_length);
                digest_.update(stored);
                if (opens) check_frame(pack, i, stored);
                v_.progress_.add_done(stored.size());
            }
            hashed_bytes_ = end_of(last);
            first = last + 1;
            if (v_.stop_.stop_requested()) throw Error(ErrorCode::cancelled, "verifying was stopped");
        }
        if (digest_matches(pack.digest)) return;
        v_.findings_.damage(name_, "its bytes do not have the digest that its writer signed",
                            "restore this pack from a copy of the repository");
        if (opens) return; // which frames are damaged is known
        for (const FrameRecord& frame : pack.tail.frames)
            v_.needs_.mark_bad({pack.origins[frame.origin], frame.number});
    }
    std::uint64_t group_bytes() const { return whole_ ? 0 : piece_bytes; }

    void check_frame(const LoadedPack& pack, std::size_t position, ByteView stored) {
        const FrameRecord& frame = pack.tail.frames[position];
        const PackId& origin = pack.origins[frame.origin];
        try {
            const ByteView raw = open(pack, frame, origin, stored);
            for (const BlobRecord& blob : frame.blobs) {
                if (is_right(blob, raw.subspan(blob.offset, blob.length))) continue;
                throw damaged(fmt::format("frame {}: a blob is not what its id says", frame.number));
            }
            ++v_.frames_opened_;
            v_.raw_bytes_ += raw.size();
            v_.blobs_ += frame.blobs.size();
        } catch (const Error& error) {
            if (v_.findings_.take(error, name_) && v_.is_holder(pack.id, origin))
                v_.needs_.mark_bad({origin, frame.number});
        }
    }

    ByteView open(const LoadedPack& pack, const FrameRecord& frame, const PackId& origin, ByteView stored) {
        std::optional<Aead>& key = keys_[frame.origin];
        if (!key) {
            const Envelope& envelope = pack.envelopes[frame.origin];
            const KeyRing& ring = v_.repository_.keys();
            key = frame_key((origin.kind == metadata_pack ? ring.structure_secret_for(envelope)
                                                          : ring.content_secret_for(envelope))
                                ->view(),
                            origin);
        }
        const MutableByteView plain = MutableByteView(plain_).first(frame.stored_length - aead_tag_bytes);
        if (!key->open(frame.number,
                       frame_associated_data(origin, frame.number, frame.raw_length, frame.codec), stored,
                       plain)) {
            throw damaged(fmt::format("frame {} is not what its writer sealed", frame.number));
        }
        if (frame.codec == Codec::stored) return plain;
        const MutableByteView raw = MutableByteView(raw_).first(frame.raw_length);
        in_context(fmt::format("frame {}", frame.number),
                   [&] { decompressor_.decompress(frame.codec, plain, raw); });
        return raw;
    }

    // Which domain a blob is of is not written in packs; most often it is that of the last one.
    bool is_right(const BlobRecord& blob, ByteView bytes) {
        if (blob.type == BlobType::node) {
            node_.reset();
            return node_.update(bytes).finish<24>() == blob.id;
        }
        for (std::size_t i = 0; i < blobs_.size(); ++i) {
            Hasher& hasher = blobs_[i];
            hasher.reset();
            if (hasher.update(bytes).finish<24>() != blob.id) continue;
            if (i > 0) std::swap(blobs_[0], blobs_[i]);
            return true;
        }
        return false;
    }

    Verification& v_;
    const bool reads_content_;
    Hasher digest_;
    Hasher node_;
    std::vector<Hasher> blobs_; // one a domain
    std::unique_ptr<BufferedPack> buffer_;
    std::vector<std::optional<Aead>> keys_; // by origin
    Decompressor decompressor_;
    Bytes plain_, raw_, piece_;
    std::string name_;
    std::uint64_t size_bytes_ = 0;
    std::uint64_t hashed_bytes_ = 0;
    bool whole_ = false;
};

// Fetching and checking overlap: the store is waited for by other threads than those that compute.
void Verification::read_packs() {
    std::vector<const ListedPack*> wanted;
    std::uint64_t total_bytes = 0;
    for (const ListedPack& pack : packs_) {
        if (!pack.read_whole) continue;
        wanted.push_back(&pack);
        total_bytes += pack.size_bytes;
    }
    if (wanted.empty()) return;
    next_phase("reading packs");
    progress_.set_total(total_bytes, wanted.size());

    BoundedQueue<FetchedPack> queue(waiting_bytes);
    std::atomic<std::size_t> next{0};
    std::atomic<unsigned> fetching{fetchers};
    const auto fetch = [&](std::stop_token stop) {
        for (std::size_t i = next++; i < wanted.size() && !stop.stop_requested(); i = next++) {
            FetchedPack pack{wanted[i]->id, wanted[i]->id.name(), wanted[i]->size_bytes, std::nullopt};
            try {
                if (pack.listed_bytes <= largest_whole_bytes) {
                    pack.bytes = repository_.store().get(pack.name, {0, largest_whole_bytes}, {});
                    if (!pack.bytes) continue; // a collection removed it since it was listed
                }
            } catch (const Error& error) {
                findings_.take(error, pack.name);
                const std::scoped_lock lock(mutex_);
                unreadable_packs_.insert(pack.id);
                continue;
            }
            const std::size_t size = pack.bytes ? pack.bytes->size() : 0;
            if (!queue.push(std::move(pack), size, stop)) break;
        }
        if (--fetching == 0) queue.close();
    };
    TaskGroup group(stop_);
    for (unsigned i = 0; i < fetchers; ++i) group.start(fetch);
    for (unsigned i = 0; i < std::max(settings_.workers, 1U); ++i) {
        group.start([&](std::stop_token stop) {
            PackContentCheck check(*this);
            while (auto pack = queue.pop(stop)) {
                check.check(std::move(*pack));
                progress_.add_done(0, 1);
            }
        });
    }
    group.wait();
}

} // namespace holdfast
