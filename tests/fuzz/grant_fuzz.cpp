// Grants: the input as a sealed body, and as what was sealed by an administrator gone mad.
#include "base/error.h"
#include "base/random.h"
#include "repository/grant.h"

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace holdfast;
    static const BoxKey key(Secret::copy_of(Bytes(32, 1)));
    static SeededRandom random(1);
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
        open_grant(name, seal_grant(grant, name, key.public_key(), random), key);
    } catch (const Error&) {
    }
    return 0;
}
