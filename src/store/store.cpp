#include "store/store.h"

#include "base/error.h"

namespace holdfast {

namespace {

[[noreturn]] void unsupported(const Store& store, std::string_view what) {
    throw Error(ErrorCode::unsupported, store.url() + " cannot " + std::string(what));
}

} // namespace

void Store::retain(const std::string&, const Retention&, const CallOptions&) {
    unsupported(*this, "lock objects");
}

std::optional<Retention> Store::retention(const std::string&, const CallOptions&) {
    unsupported(*this, "lock objects");
}

void Store::list_versions(const std::string&, const std::function<bool(const ObjectVersion&)>&,
                          const CallOptions&) {
    unsupported(*this, "keep versions");
}

std::optional<Bytes> Store::get_version(const std::string&, const std::string&, ByteRange,
                                        const CallOptions&) {
    unsupported(*this, "keep versions");
}

void Store::remove_version(const std::string&, const std::string&, const CallOptions&) {
    unsupported(*this, "keep versions");
}

void Store::set_tier(const std::string&, const std::string&, const CallOptions&) {
    unsupported(*this, "move objects between tiers");
}

ThawResult Store::thaw(const std::string&, Duration, const CallOptions&) {
    unsupported(*this, "move objects between tiers");
}

PutResult Store::copy(const std::string&, const std::string&, const PutOptions&, const CallOptions&) {
    unsupported(*this, "copy objects");
}

std::vector<ObjectInfo> Store::list_all(const std::string& prefix, const CallOptions& options) {
    std::vector<ObjectInfo> objects;
    list(
        prefix, "",
        [&](const ObjectInfo& object) {
            objects.push_back(object);
            return true;
        },
        options);
    return objects;
}

} // namespace holdfast
