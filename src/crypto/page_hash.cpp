#include "crypto/page_hash.h"

#include "base/error.h"
#include "base/little_endian.h"
#include "crypto/hash.h"

#include <algorithm>
#include <array>

// The kernel of BLAKE3's C library: `inputs` of `blocks` 64-byte blocks each, side by side in vector
// registers. The library declares it in an internal header that C++ cannot include; the unit test compares
// with Hasher, so a library that changed it does not go unnoticed.
extern "C" void blake3_hash_many(const std::uint8_t* const* inputs, std::size_t input_count,
                                 std::size_t blocks, const std::uint32_t key[8], std::uint64_t counter,
                                 bool increment_counter, std::uint8_t flags, std::uint8_t flags_start,
                                 std::uint8_t flags_end, std::uint8_t* out);

namespace holdfast {

namespace {

// From the BLAKE3 paper, section 2.2.
constexpr std::uint8_t chunk_start = 1;
constexpr std::uint8_t chunk_end = 2;
constexpr std::uint8_t parent = 4;
constexpr std::uint8_t root = 8;
constexpr std::uint8_t keyed = 16;

constexpr std::size_t chunk_bytes = 1024;
constexpr std::size_t block_bytes = 64;
constexpr std::size_t chaining_bytes = 32;
constexpr std::size_t chunks_per_page = page_bytes / chunk_bytes;
constexpr std::size_t widest = 16; // lanes of AVX-512

struct KeyWords {
    std::array<std::uint32_t, 8> words;
    explicit KeyWords(const Secret& key) {
        for (std::size_t i = 0; i < words.size(); ++i)
            words[i] = load_little<std::uint32_t>(key.view().data() + sizeof words[i] * i);
    }
    KeyWords(const KeyWords&) = delete;
    KeyWords& operator=(const KeyWords&) = delete;
    ~KeyWords() { wipe({reinterpret_cast<Byte*>(words.data()), sizeof words}); }
};

using ChainingValues = std::array<std::array<Byte, chaining_bytes>, chunks_per_page>;

// Up to `widest` whole pages.
void hash_together(const KeyWords& key, const Byte* pages, std::size_t count, Byte* digests) {
    std::array<ChainingValues, widest> values;
    std::array<const std::uint8_t*, widest> inputs;
    std::array<Byte, widest * chaining_bytes> out;
    const auto keep = [&](std::size_t position) {
        for (std::size_t page = 0; page < count; ++page) {
            std::memcpy(values[page][position].data(), out.data() + page * chaining_bytes, chaining_bytes);
        }
    };
    for (std::size_t chunk = 0; chunk < chunks_per_page; ++chunk) {
        for (std::size_t page = 0; page < count; ++page) {
            inputs[page] = pages + page * page_bytes + chunk * chunk_bytes;
        }
        blake3_hash_many(inputs.data(), count, chunk_bytes / block_bytes, key.words.data(), chunk, false,
                         keyed, chunk_start, chunk_end, out.data());
        keep(chunk);
    }
    // Two neighbouring chaining values are the block of their parent; each level overwrites the one below
    // from its left end.
    for (std::size_t parents = chunks_per_page / 2; parents >= 1; parents /= 2) {
        const auto flags = static_cast<std::uint8_t>(keyed | parent | (parents == 1 ? root : 0));
        for (std::size_t position = 0; position < parents; ++position) {
            for (std::size_t page = 0; page < count; ++page) inputs[page] = values[page][2 * position].data();
            blake3_hash_many(inputs.data(), count, 1, key.words.data(), 0, false, flags, 0, 0, out.data());
            keep(position);
        }
    }
    for (std::size_t page = 0; page < count; ++page) {
        std::memcpy(digests + page * page_digest_bytes, values[page][0].data(), page_digest_bytes);
    }
}

} // namespace

PageHasher::PageHasher(ByteView key) : key_(Secret::copy_of(key)) {
    if (key.size() != 32) throw Error(ErrorCode::internal, "a hash key does not have 32 bytes");
}

void PageHasher::hash(ByteView pages, MutableByteView digests) const {
    const std::size_t whole = pages.size() / page_bytes;
    const ByteView rest = pages.subspan(whole * page_bytes);
    if (digests.size() != (whole + (rest.empty() ? 0 : 1)) * page_digest_bytes) {
        throw Error(ErrorCode::internal, "there is not one digest for each page");
    }
    const KeyWords words(key_);
    for (std::size_t page = 0; page < whole; page += widest) {
        hash_together(words, pages.data() + page * page_bytes, std::min(widest, whole - page),
                      digests.data() + page * page_digest_bytes);
    }
    if (!rest.empty()) Hasher::keyed(key_.view()).update(rest).finish(digests.last(page_digest_bytes));
}

} // namespace holdfast
