// Decoding a change map: what is taken is encoded to the same bytes, answers any question, and can be united
// with itself, which changes nothing; with little memory it still holds all that it held.
#include "base/error.h"
#include "postgres/wal/block_changes.h"

#include <algorithm>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace holdfast;
    using namespace holdfast::postgres;
    const ByteView input(data, size);
    constexpr std::size_t little = 4096;
    try {
        BlockChanges changes = BlockChanges::decode(input);
        if (!std::ranges::equal(changes.encode(), input)) std::abort();
        changes.unite(BlockChanges::decode(input));
        if (!std::ranges::equal(changes.encode(), input)) std::abort();
        const BlockChanges coarse = BlockChanges::decode(input, little);
        if (coarse.memory_bytes() > little || (changes.usable() && !coarse.usable())) std::abort();
        for (std::size_t at = 0; at + 12 <= size && at < 96; at += 4) {
            // Numbers from the input are likely to be in it as relations.
            const auto number = [&](std::size_t place) {
                return static_cast<Oid>(input[place] | input[place + 1] << 8);
            };
            const RelationFile relation{number(at), number(at + 4), number(at + 8)};
            for (const Fork fork : {Fork::main, Fork::init})
                for (BlockNumber block = 0; block < 20; ++block)
                    if (coarse.of_fork(relation, fork).unchanged(block) &&
                        !changes.of_fork(relation, fork).unchanged(block))
                        std::abort();
        }
    } catch (const Error& error) {
        if (error.code() != ErrorCode::corrupt) std::abort();
    }
    return 0;
}
