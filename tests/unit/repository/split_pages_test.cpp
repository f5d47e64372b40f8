#include "base/error.h"
#include "base/random.h"
#include "crypto/hash.h"
#include "repository/split/page_signatures.h"
#include "repository/split/page_splitter.h"

#include <gtest/gtest.h>

namespace holdfast {
namespace {

Bytes random_bytes(std::uint64_t seed, std::size_t size) {
    SeededRandom random(seed);
    Bytes data(size);
    random.fill(data);
    return data;
}

TEST(PageSplitter, makes_runs_of_a_mebibyte_and_a_rest) {
    PageSplitter splitter;
    const Bytes data(2 * longest_chunk_bytes + 5 * page_bytes + 17);
    ByteView rest = data;
    EXPECT_EQ(splitter.next_cut(rest.first(longest_chunk_bytes - 1), false), 0u);
    for (int i = 0; i < 2; ++i) {
        ASSERT_EQ(splitter.next_cut(rest, true), longest_chunk_bytes);
        rest = rest.subspan(longest_chunk_bytes);
    }
    EXPECT_EQ(splitter.next_cut(rest, false), 0u);
    EXPECT_EQ(splitter.next_cut(rest, true), 5 * page_bytes + 17);
    EXPECT_EQ(splitter.next_cut({}, true), 0u);
}

// As docs/format.md says it: K(HKDF(domain identity key, "holdfast page signature"), page), 16 bytes.
TEST(PageSigner, signs_each_page_as_the_format_says) {
    const Bytes key = random_bytes(1, 32);
    const Bytes data = random_bytes(2, 21 * page_bytes + 100);
    ASSERT_EQ(pages_of(data.size()), 22u);
    std::vector<PageSignature> signatures(22);
    PageSigner(key).sign(data, signatures);
    const Secret page_key = hkdf_expand(key, as_bytes("holdfast page signature"));
    for (std::size_t page = 0; page < signatures.size(); ++page) {
        const std::size_t at = page * page_bytes;
        const ByteView bytes = ByteView(data).subspan(at, std::min(page_bytes, data.size() - at));
        ASSERT_EQ(signatures[page], keyed_hash<16>(page_key.view(), bytes)) << page;
    }
}

// What every later version must compute too.
TEST(PageSigner, known_answer) {
    std::vector<PageSignature> signatures(1);
    PageSigner(Bytes(32, 1)).sign(Bytes(page_bytes, 2), signatures);
    EXPECT_EQ(signatures[0].hex(), "94742e9a630e04e8b07219cccddd39d7");
}

TEST(PageSigner, zeros_that_take_up_space_are_no_hole) {
    std::vector<PageSignature> signatures(1);
    PageSigner(Bytes(32, 1)).sign(Bytes(page_bytes), signatures);
    EXPECT_NE(signatures[0], hole_signature);
}

TEST(PageSigner, refuses_a_wrong_number_of_signatures) {
    std::vector<PageSignature> signatures(2);
    EXPECT_THROW(PageSigner(Bytes(32, 1)).sign(Bytes(page_bytes), signatures), Error);
}

TEST(ChangedPages, finds_exactly_the_pages_that_changed) {
    for (std::uint64_t seed = 0; seed < 50; ++seed) {
        SeededRandom random(seed);
        std::vector<PageSignature> before(random.below(60));
        for (PageSignature& signature : before) signature = random.id<16>();
        std::vector<PageSignature> now = before;
        now.resize(random.below(80));
        std::vector<bool> changed(now.size());
        for (std::size_t page = 0; page < now.size(); ++page) {
            changed[page] = page >= before.size() || random.below(3) == 0;
            if (changed[page]) now[page] = random.id<16>();
        }
        std::vector<bool> found(now.size());
        std::uint64_t end = 0;
        for (const PageRange& range : changed_pages(before, now, 1000)) {
            ASSERT_GT(range.count, 0u);
            ASSERT_TRUE(end == 0 || range.first > end) << "neighbouring ranges are one";
            end = range.first + range.count;
            for (std::uint64_t page = range.first; page < end; ++page) found.at(page - 1000) = true;
        }
        ASSERT_EQ(found, changed) << "seed " << seed;
    }
}

} // namespace
} // namespace holdfast
