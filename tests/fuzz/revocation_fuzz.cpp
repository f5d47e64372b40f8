// Bodies of revocations: what is read is written and read back the same.
#include "base/error.h"
#include "repository/revocation.h"

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace holdfast;
    const std::string name = revocation_name(SlotId{});
    try {
        const Bytes written = write_revocation(read_revocation(name, {data, size}));
        if (write_revocation(read_revocation(name, written)) != written) std::abort();
    } catch (const Error&) {
    }
    return 0;
}
