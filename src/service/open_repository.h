// From what a user names (a URL, a credential) to an open repository.
#pragma once

#include "repository/key_slots.h"
#include "repository/repository.h"
#include "store/store_factory.h"

#include <memory>
#include <optional>
#include <stop_token>
#include <string>

namespace holdfast {

struct RepositoryAccess {
    std::string url;
    StoreSettings store;
    // Exactly one way to prove who we are.
    std::optional<std::string> key_file;         // of a key-file slot, or a recovery text
    std::optional<std::string> private_key_file; // of a public-key slot
    Secret passphrase;
    // Where this machine keeps what it can lose; empty: by XDG_CACHE_HOME or HOME, under the repository's id.
    std::string cache_directory;
};

// A repository and the store it came from, which can be asked how it went.
struct OpenRepository {
    std::unique_ptr<Repository> repository;
    OpenStore store;
};

// The credential that `access` names. Throws Error(usage) when it names none.
Credential credential_of(const RepositoryAccess& access, Logger& logger);

// Throws what unlock() and the store throw.
OpenRepository open_repository(const RepositoryAccess& access, Logger& logger);
// The same for who has better things to do than to wait: when the store does not answer the first request,
// that is thrown and nothing is repeated. A stop ends that request.
OpenRepository open_repository_if_there(const RepositoryAccess& access, Logger& logger, std::stop_token stop);

struct CreateSettings {
    std::string label = "owner";
    std::string domain = "default";
    bool recovery_key = true;
    std::uint64_t pack_bytes = 16u << 20;
};

struct CreateResult {
    RepositoryId repository;
    StoreCapabilities capabilities;
    std::string recovery_text;
};

// Probes the store and creates a repository in it. Throws Error(already_exists) when there is one.
CreateResult create_repository_at(const RepositoryAccess& access, const CreateSettings& settings,
                                  Logger& logger);

} // namespace holdfast
