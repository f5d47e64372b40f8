#include "service/open_repository.h"

#include "base/error.h"
#include "base/file_descriptor.h"
#include "repository/key_file.h"
#include "repository/run_secret_cache.h"
#include "service/pack_classes.h"
#include "store/stoppable_store.h"

#include <cstdlib>

#include <fmt/format.h>

namespace holdfast {

namespace {

std::string default_cache_root() {
    if (const char* cache = std::getenv("XDG_CACHE_HOME"); cache != nullptr && *cache == '/') {
        return fmt::format("{}/holdfast", cache);
    }
    if (const char* home = std::getenv("HOME"); home != nullptr && *home == '/') {
        return fmt::format("{}/.cache/holdfast", home);
    }
    return "/var/cache/holdfast";
}

std::string temporary_directory() {
    const char* directory = std::getenv("TMPDIR");
    return directory != nullptr && *directory == '/' ? directory : "/var/tmp";
}

KeyFile checked_key_file(const std::string& path, Logger& logger) {
    KeyFile file = read_key_file(path);
    if (file.exposed)
        logger.warning("key file can be read by others", {{"file", path}, {"remedy", "chmod 600"}});
    return file;
}

} // namespace

Credential credential_of(const RepositoryAccess& access, Logger& logger) {
    if (access.key_file) return Credential::key_file(checked_key_file(*access.key_file, logger));
    if (access.private_key_file)
        return Credential::private_key(checked_key_file(*access.private_key_file, logger));
    if (!access.passphrase.empty()) return Credential::passphrase(access.passphrase.copy());
    throw Error(ErrorCode::usage, "there is no key",
                "name one with --key-file or --private-key, or set HOLDFAST_PASSPHRASE");
}

OpenRepository open_repository(const RepositoryAccess& access, Logger& logger) {
    OpenRepository result;
    StoreSettings settings = access.store;
    settings.logger = &logger;
    result.store = open_store(access.url, settings);
    const RepositoryConfig config = load_config(*result.store.store);
    settings.capabilities = config.capabilities;
    settings.landmark = config_name;
    result.store = open_store(access.url, settings);

    LocalDirectories directories;
    const std::string root = access.cache_directory.empty() ? default_cache_root() : access.cache_directory;
    directories.cache = fmt::format("{}/{}", root, config.repository.hex());
    directories.temporary = temporary_directory();
    UnlockOptions options;
    options.cache = std::make_shared<DirectoryRunSecretCache>(directories.cache + "/runs");
    Unlocked unlocked = unlock(*result.store.store, credential_of(access, logger), options);
    for (const IgnoredObject& ignored : unlocked.trust.ignored()) {
        logger.warning("key object passed over", {{"object", ignored.name}, {"reason", ignored.reason}});
    }
    result.repository =
        std::make_unique<Repository>(result.store.store, std::move(unlocked), std::move(directories),
                                     system_clock(), system_random(), logger);
    return result;
}

OpenRepository open_repository_if_there(const RepositoryAccess& access, Logger& logger,
                                        std::stop_token stop) {
    StoreSettings once = access.store;
    once.retry.attempts = 1;
    const OpenStore asked = open_store(access.url, once);
    StoppableStore store(*asked.store, std::move(stop));
    load_config(store);
    return open_repository(access, logger);
}

CreateResult create_repository_at(const RepositoryAccess& access, const CreateSettings& settings,
                                  Logger& logger) {
    const Credential credential = credential_of(access, logger);
    StoreSettings store_settings = access.store;
    store_settings.logger = &logger;
    const OpenStore store = open_store(access.url, store_settings);
    InitOptions options;
    options.label = settings.label;
    options.domain = settings.domain;
    options.recovery_key = settings.recovery_key;
    options.pack_bytes = settings.pack_bytes;
    options.classes = new_pack_classes();
    if (store.store->get(std::string(config_name), {}, {})) {
        throw Error(ErrorCode::already_exists,
                    fmt::format("there is a repository at {} already", store.store->url()),
                    "use it as it is, or choose another place");
    }
    options.capabilities = probe_capabilities(*store.store);
    CreatedRepository created =
        create_repository(*store.store, system_clock(), system_random(), credential, options);
    CreateResult result;
    result.repository = created.unlocked.config.repository;
    result.capabilities = options.capabilities;
    result.recovery_text = std::move(created.recovery_text);
    return result;
}

} // namespace holdfast
