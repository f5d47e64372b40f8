#include "repository/split/page_signatures.h"

#include "base/error.h"
#include "crypto/hash.h"

namespace holdfast {

PageSigner::PageSigner(ByteView identity_key)
    : hasher_(hkdf_expand(identity_key, as_bytes("holdfast page signature")).view()) {}

void PageSigner::sign(ByteView run, std::span<PageSignature> signatures) const {
    static_assert(sizeof(PageSignature) == page_digest_bytes, "signatures lie one behind the other");
    if (signatures.size() != pages_of(run.size())) {
        throw Error(ErrorCode::internal, "there is not one signature for each page");
    }
    hasher_.hash(run, {reinterpret_cast<Byte*>(signatures.data()), signatures.size_bytes()});
}

std::vector<PageRange> changed_pages(std::span<const PageSignature> before,
                                     std::span<const PageSignature> now, std::uint64_t first) {
    std::vector<PageRange> ranges;
    for (std::size_t page = 0; page < now.size(); ++page) {
        if (page < before.size() && before[page] == now[page]) continue;
        const std::uint64_t number = first + page;
        if (!ranges.empty() && ranges.back().first + ranges.back().count == number) {
            ++ranges.back().count;
        } else {
            ranges.push_back({.first = number, .count = 1});
        }
    }
    return ranges;
}

} // namespace holdfast
