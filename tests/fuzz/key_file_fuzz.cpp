// Key files, recovery texts and public identities: whatever a user may give.
#include "base/error.h"
#include "repository/key_file.h"

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace holdfast;
    const std::string_view text = as_text({data, size});
    try {
        const KeyFile file = parse_key_file(text, "key file");
        const Secret again = from_recovery_text(to_recovery_text(file.key));
        if (!equal_constant_time(again.view(), file.key.view())) std::abort();
    } catch (const Error&) {
    }
    try {
        from_identity_text(text);
    } catch (const Error&) {
    }
    return 0;
}
