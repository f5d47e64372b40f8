// Envelopes: what is read is written back the same, and no key opens what was not made for it.
#include "base/error.h"
#include "repository/envelope.h"

#include <algorithm>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace holdfast;
    const ByteView input(data, size);
    Envelope envelope;
    std::size_t used = 0;
    try {
        ByteReader in(input, "envelope");
        envelope = read_envelope(in, "envelope");
        used = in.position();
    } catch (const Error&) {
        return 0;
    }
    ByteWriter out;
    write_envelope(out, envelope);
    if (!std::ranges::equal(out.bytes(), input.first(used))) std::abort();
    const Bytes key(32, 1);
    for (const Purpose purpose : {Purpose::structure, Purpose::content}) {
        try {
            open_envelope(envelope, purpose, key);
            std::abort(); // it would take a preimage of the commitment
        } catch (const Error&) {
        }
    }
    return 0;
}
