// Grants: the input as a sealed body, and as what was sealed by an administrator gone mad.
#include "base/error.h"
#include "base/random.h"
#include "repository/grant.h"

#include <algorithm>
#include <cstdlib>

namespace {

using namespace holdfast;

bool same_secrets(const EpochSecrets& a, const EpochSecrets& b) {
    return std::ranges::equal(a, b, [](const auto& one, const auto& other) {
        return one.first == other.first && std::ranges::equal(one.second.view(), other.second.view());
    });
}

bool same_keys(const std::optional<EpochPublicKeys>& a, const std::optional<EpochPublicKeys>& b) {
    if (!a || !b) return !a && !b;
    return a->structure == b->structure && a->content == b->content;
}

bool same(const Grant& a, const Grant& b) {
    return a.repository == b.repository && a.root == b.root && a.role == b.role && a.domain == b.domain &&
           a.newest_epoch == b.newest_epoch && a.identity_scope == b.identity_scope &&
           std::ranges::equal(a.identity.view(), b.identity.view()) &&
           same_secrets(a.structure, b.structure) && same_secrets(a.content, b.content) &&
           same_keys(a.public_keys, b.public_keys);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const BoxKey key(Secret::copy_of(Bytes(32, 1)));
    SeededRandom random(1);
    const std::string name = grant_name(SlotId{}, 1);
    try {
        open_grant(name, {data, size}, key);
        std::abort(); // nobody sealed it
    } catch (const Error&) {
    }
    ByteWriter info;
    info.raw(as_bytes("holdfast grant"));
    info.sized(name);
    ByteWriter body;
    body.u8(suite_1);
    body.raw(seal_box(key.public_key(), info.bytes(), {data, size}, random));
    try {
        const Grant grant = open_grant(name, body.bytes(), key);
        const Bytes again = seal_grant(grant, name, key.public_key(), random);
        if (!same(open_grant(name, again, key), grant)) std::abort();
    } catch (const Error&) {
    }
    return 0;
}
