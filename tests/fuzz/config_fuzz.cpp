// The config object: the input as it stands, and as a body that its root signed.
#include "base/error.h"
#include "repository/config.h"

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace holdfast;
    // A body that names the public key of this seed as its root passes the check of the signature.
    static const SigningKey key(Secret::copy_of(Bytes(32, 1)));
    const ByteView input(data, size);
    for (const Bytes& object : {Bytes(input.begin(), input.end()),
                                sign_object(ObjectKind::config, config_name, input, SlotId{}, key)}) {
        try {
            RepositoryConfig config = read_config(object);
            const Bytes written = write_config(config, key);
            if (config.root == key.public_key() &&
                write_config(config = read_config(written), key) != written) {
                std::abort();
            }
        } catch (const Error&) {
        }
    }
    return 0;
}
