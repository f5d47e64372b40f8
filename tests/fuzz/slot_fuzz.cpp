// Bodies of key slots: what is read is written and read back the same, and does not unwrap.
#include "base/error.h"
#include "repository/slot.h"

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace holdfast;
    const std::string name = slot_name(SlotId{});
    try {
        const SlotRecord record = read_slot(name, {data, size});
        const Bytes written = write_slot(record);
        if (write_slot(read_slot(name, written)) != written) std::abort();
        if (unwrap_slot(record, Secret(32))) std::abort();
    } catch (const Error&) {
    }
    return 0;
}
