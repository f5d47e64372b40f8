// holdfast.toml, and the sizes that are written in it: refused as wrong use, or read.
#include "base/bytes.h"
#include "base/error.h"
#include "cli/command.h"
#include "cli/configuration.h"

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace holdfast;
    const std::string text(as_text({data, size}));
    try {
        const Configuration configuration = parse_configuration(text, "holdfast.toml");
        if (configuration.backup.lock_days > most_lock_days) std::abort();
        if (!configuration.limit_upload.empty()) parse_size(configuration.limit_upload, "limit_upload");
    } catch (const Error& error) {
        if (error.code() != ErrorCode::usage) std::abort();
    }
    return 0;
}
