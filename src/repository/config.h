// What a repository is: the object `config` (docs/format.md, sections 2 and 4).
#pragma once

#include "base/clock.h"
#include "crypto/sign.h"
#include "repository/ids.h"
#include "repository/object.h"
#include "store/store.h"

#include <map>
#include <string>
#include <vector>

namespace holdfast {

struct RepositoryConfig {
    RepositoryId repository;
    Timestamp created{};
    // The root of trust: the first slot and its signing key. Genuine only when it is what the holder's own
    // slot says.
    SlotId root_slot;
    PublicKey root;
    std::vector<std::string> may_ignore;         // features an older program may ignore
    std::vector<std::string> must_know;          // features it must know or refuse the repository
    StoreCapabilities capabilities;              // of the store, found when the repository was created
    std::uint64_t pack_bytes = 0;                // the size packs aim for
    std::map<std::uint8_t, std::string> classes; // retention classes and their names
    // Of the stored object, for what a removed root left; zero until it was read or written.
    ObjectDigest digest;
};

constexpr std::uint64_t default_pack_bytes = 64 * 1024 * 1024;

// The whole object, signed by the root. Fills `digest`.
Bytes write_config(RepositoryConfig& config, const SigningKey& root_key);
// Throws Error(corrupt) when it is malformed or not signed by the root that it names, Error(incompatible)
// when it needs a feature that this version does not know.
RepositoryConfig read_config(ByteView object);
// As read_config, from the store; Error(not_found) with a hint when there is no repository.
RepositoryConfig load_config(Store& store, const CallOptions& options = {});

} // namespace holdfast
