#include "base/error.h"
#include "base/random.h"
#include "crypto/hash.h"
#include "crypto/page_hash.h"

#include <gtest/gtest.h>

namespace holdfast {
namespace {

Bytes one_by_one(ByteView key, ByteView pages) {
    Bytes digests;
    for (std::size_t at = 0; at < pages.size(); at += page_bytes) {
        const ByteView page = pages.subspan(at, std::min(page_bytes, pages.size() - at));
        const auto digest = keyed_hash<page_digest_bytes>(key, page);
        digests.insert(digests.end(), digest.bytes.begin(), digest.bytes.end());
    }
    return digests;
}

TEST(PageHasher, digests_are_those_of_the_plain_hash_for_every_number_of_pages) {
    SeededRandom random(7);
    Bytes key(32);
    random.fill(key);
    Bytes data(35 * page_bytes);
    random.fill(data);
    const PageHasher hasher(key);
    for (std::size_t pages = 0; pages <= 35; ++pages) {
        for (const std::size_t extra : {std::size_t{0}, std::size_t{1}, std::size_t{1024}, page_bytes - 1}) {
            const std::size_t size = std::min(data.size(), pages * page_bytes + extra);
            const ByteView view = ByteView(data).first(size);
            Bytes digests((size + page_bytes - 1) / page_bytes * page_digest_bytes);
            hasher.hash(view, digests);
            ASSERT_EQ(digests, one_by_one(key, view)) << pages << " pages and " << extra << " bytes";
        }
    }
}

// The published test vector for 8,192 bytes of input in keyed mode.
TEST(PageHasher, known_answer) {
    const std::string_view key = "whats the Elvish word for friend";
    Bytes page(page_bytes);
    for (std::size_t i = 0; i < page.size(); ++i) page[i] = static_cast<Byte>(i % 251);
    Bytes digest(page_digest_bytes);
    PageHasher(as_bytes(key)).hash(page, digest);
    EXPECT_EQ(to_hex(digest), "dc9637c8845a770b4cbf76b8daec0eeb");
}

TEST(PageHasher, wrong_sizes_are_refused) {
    EXPECT_THROW(PageHasher(Bytes(31)), Error);
    const PageHasher hasher{Bytes(32)};
    Bytes digests(page_digest_bytes);
    EXPECT_THROW(hasher.hash(Bytes(page_bytes + 1), digests), Error);
    EXPECT_THROW(hasher.hash({}, digests), Error);
}

} // namespace
} // namespace holdfast
