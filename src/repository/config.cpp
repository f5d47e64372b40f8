#include "repository/config.h"

#include "base/error.h"
#include "repository/json_form.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace holdfast {

namespace {

constexpr std::size_t config_limit_bytes = 1024 * 1024;
constexpr std::size_t features_limit = 256;
constexpr std::size_t feature_limit_bytes = 64;
constexpr std::uint64_t least_pack_bytes = 64 * 1024;
constexpr std::uint64_t most_pack_bytes = 16ULL * 1024 * 1024 * 1024;

// Features of `must_know` that this version knows. Version 1 of the format has none beyond itself.
constexpr std::array<std::string_view, 0> known_features{};

JsonWriter write_capabilities(const StoreCapabilities& capabilities) {
    JsonWriter json;
    json.boolean("put_if_absent", capabilities.put_if_absent)
        .boolean("consistent", capabilities.consistent)
        .boolean("object_lock", capabilities.object_lock)
        .boolean("versions", capabilities.versions)
        .boolean("server_copy", capabilities.server_copy)
        .texts("tiers", capabilities.tiers)
        .number("largest_object_bytes", capabilities.largest_object_bytes);
    return json;
}

StoreCapabilities read_capabilities(const JsonReader& json) {
    StoreCapabilities capabilities;
    capabilities.put_if_absent = json.boolean("put_if_absent");
    capabilities.consistent = json.boolean("consistent");
    capabilities.object_lock = json.boolean("object_lock");
    capabilities.versions = json.boolean("versions");
    capabilities.server_copy = json.boolean("server_copy");
    capabilities.tiers = json.texts("tiers", 32, 64);
    capabilities.largest_object_bytes = json.number("largest_object_bytes", UINT64_MAX);
    return capabilities;
}

std::map<std::uint8_t, std::string> read_classes(const JsonReader& json) {
    std::map<std::uint8_t, std::string> classes;
    for (const std::string& key : json.keys()) {
        const auto number = id_from_hex<1>(key);
        if (!number) json.fail(key, "is no class");
        classes.emplace(number->bytes[0], json.text(key, 64));
    }
    return classes;
}

Bytes write_body(const RepositoryConfig& config) {
    JsonWriter features;
    features.texts("may_ignore", config.may_ignore).texts("must_know", config.must_know);
    JsonWriter classes;
    for (const auto& [number, name] : config.classes) classes.text(fmt::format("{:02x}", number), name);
    JsonWriter json;
    json.hex("repository", config.repository.view())
        .time("created", config.created)
        .number("suite", suite_1)
        .hex("root", config.root.view())
        .object("features", features)
        .object("capabilities", write_capabilities(config.capabilities))
        .number("pack_bytes", config.pack_bytes)
        .object("classes", classes);
    return json.finish();
}

void check_features(const RepositoryConfig& config) {
    for (const std::string& feature : config.must_know) {
        if (std::ranges::find(known_features, feature) != known_features.end()) continue;
        throw Error(ErrorCode::incompatible,
                    "the repository uses \"" + feature + "\", which this version does not know",
                    "use a newer version of Holdfast");
    }
}

} // namespace

Bytes write_config(RepositoryConfig& config, const SigningKey& root_key) {
    const Bytes object =
        sign_object(ObjectKind::config, config_name, write_body(config), config.root_slot, root_key);
    config.digest = read_object_form(config_name, object).digest;
    return object;
}

RepositoryConfig read_config(ByteView object) {
    const ObjectForm form = read_object_form(config_name, object);
    const JsonReader json = JsonReader::parse(form.body, std::string(config_name), config_limit_bytes);
    RepositoryConfig config;
    config.root_slot = form.header.writer;
    config.root = json.id<32>("root");
    // The root stands in the body, so the body is taken apart before the signature can be checked; nothing
    // else is used.
    if (!verify_digest(config.root, config_name, form.digest, form.signature)) {
        throw Error(ErrorCode::corrupt, "config is not signed by the root that it names",
                    "it was damaged or exchanged in the store; take it from a copy of the repository");
    }
    config.digest = form.digest;
    const JsonReader features = json.object("features");
    config.may_ignore = features.texts("may_ignore", features_limit, feature_limit_bytes);
    config.must_know = features.texts("must_know", features_limit, feature_limit_bytes);
    check_features(config);
    if (json.number("suite", UINT32_MAX) != suite_1) {
        throw Error(ErrorCode::incompatible,
                    "the repository uses a cryptographic suite that this version does not know",
                    "use a newer version of Holdfast");
    }
    config.repository = json.id<16>("repository");
    config.created = json.time("created");
    config.capabilities = read_capabilities(json.object("capabilities"));
    config.pack_bytes = json.number("pack_bytes", most_pack_bytes);
    if (config.pack_bytes < least_pack_bytes) json.fail("pack_bytes", "is too small");
    config.classes = read_classes(json.object("classes"));
    return config;
}

namespace {

bool has_key_slots(Store& store, const CallOptions& options) {
    bool found = false;
    store.list(
        std::string(slots_prefix), "",
        [&](const ObjectInfo&) {
            found = true;
            return false;
        },
        options);
    return found;
}

} // namespace

RepositoryConfig load_config(Store& store, const CallOptions& options) {
    const auto object = store.get(std::string(config_name), {}, options);
    if (!object) {
        if (has_key_slots(store, options)) {
            throw Error(
                ErrorCode::not_found,
                fmt::format("config: it is gone from {}, which has key slots of a repository", store.url()),
                "restore this object from a copy of the repository; if 'holdfast init' was cut off "
                "there, and nothing was ever stored, run it again");
        }
        throw Error(ErrorCode::not_found, "there is no repository at " + store.url(),
                    "check the address, or create one there with 'holdfast init'");
    }
    return in_context(store.url(), [&] { return read_config(*object); });
}

} // namespace holdfast
