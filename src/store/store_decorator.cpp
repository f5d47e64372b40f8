#include "store/store_decorator.h"

namespace holdfast {

std::string_view to_string(StoreVerb verb) {
    switch (verb) {
    case StoreVerb::put:
        return "put";
    case StoreVerb::get:
        return "get";
    case StoreVerb::head:
        return "head";
    case StoreVerb::list:
        return "list";
    case StoreVerb::remove:
        return "remove";
    case StoreVerb::retain:
        return "retain";
    case StoreVerb::retention:
        return "retention";
    case StoreVerb::list_versions:
        return "list_versions";
    case StoreVerb::get_version:
        return "get_version";
    case StoreVerb::remove_version:
        return "remove_version";
    case StoreVerb::set_tier:
        return "set_tier";
    case StoreVerb::thaw:
        return "thaw";
    case StoreVerb::copy:
        return "copy";
    }
    return "unknown";
}

std::uint64_t total_size(std::span<const ByteView> parts) {
    std::uint64_t size = 0;
    for (const ByteView part : parts) size += part.size();
    return size;
}

PutResult StoreDecorator::put(const std::string& name, std::span<const ByteView> parts,
                              const PutOptions& put_options, const CallOptions& options) {
    StoreCall call{StoreVerb::put, name, options, total_size(parts)};
    PutResult result{};
    around(call, [&] { result = inner().put(name, parts, put_options, call.options); });
    return result;
}

std::optional<Bytes> StoreDecorator::get(const std::string& name, ByteRange range,
                                         const CallOptions& options) {
    StoreCall call{StoreVerb::get, name, options};
    std::optional<Bytes> result;
    around(call, [&] {
        result = inner().get(name, range, call.options);
        call.received_bytes = result ? result->size() : 0;
    });
    return result;
}

std::optional<ObjectInfo> StoreDecorator::head(const std::string& name, const CallOptions& options) {
    StoreCall call{StoreVerb::head, name, options};
    std::optional<ObjectInfo> result;
    around(call, [&] { result = inner().head(name, call.options); });
    return result;
}

void StoreDecorator::list(const std::string& prefix, const std::string& after,
                          const std::function<bool(const ObjectInfo&)>& visit, const CallOptions& options) {
    StoreCall call{StoreVerb::list, prefix, options};
    around(call, [&] { inner().list(prefix, after, visit, call.options); });
}

void StoreDecorator::remove(const std::string& name, const CallOptions& options) {
    StoreCall call{StoreVerb::remove, name, options};
    around(call, [&] { inner().remove(name, call.options); });
}

void StoreDecorator::retain(const std::string& name, const Retention& retention, const CallOptions& options) {
    StoreCall call{StoreVerb::retain, name, options};
    around(call, [&] { inner().retain(name, retention, call.options); });
}

std::optional<Retention> StoreDecorator::retention(const std::string& name, const CallOptions& options) {
    StoreCall call{StoreVerb::retention, name, options};
    std::optional<Retention> result;
    around(call, [&] { result = inner().retention(name, call.options); });
    return result;
}

void StoreDecorator::list_versions(const std::string& prefix,
                                   const std::function<bool(const ObjectVersion&)>& visit,
                                   const CallOptions& options) {
    StoreCall call{StoreVerb::list_versions, prefix, options};
    around(call, [&] { inner().list_versions(prefix, visit, call.options); });
}

std::optional<Bytes> StoreDecorator::get_version(const std::string& name, const std::string& version,
                                                 ByteRange range, const CallOptions& options) {
    StoreCall call{StoreVerb::get_version, name, options};
    std::optional<Bytes> result;
    around(call, [&] {
        result = inner().get_version(name, version, range, call.options);
        call.received_bytes = result ? result->size() : 0;
    });
    return result;
}

void StoreDecorator::remove_version(const std::string& name, const std::string& version,
                                    const CallOptions& options) {
    StoreCall call{StoreVerb::remove_version, name, options};
    around(call, [&] { inner().remove_version(name, version, call.options); });
}

void StoreDecorator::set_tier(const std::string& name, const std::string& tier, const CallOptions& options) {
    StoreCall call{StoreVerb::set_tier, name, options};
    around(call, [&] { inner().set_tier(name, tier, call.options); });
}

ThawResult StoreDecorator::thaw(const std::string& name, Duration keep, const CallOptions& options) {
    StoreCall call{StoreVerb::thaw, name, options};
    ThawResult result{};
    around(call, [&] { result = inner().thaw(name, keep, call.options); });
    return result;
}

PutResult StoreDecorator::copy(const std::string& from, const std::string& to, const PutOptions& put_options,
                               const CallOptions& options) {
    StoreCall call{StoreVerb::copy, from, options};
    PutResult result{};
    around(call, [&] { result = inner().copy(from, to, put_options, call.options); });
    return result;
}

} // namespace holdfast
