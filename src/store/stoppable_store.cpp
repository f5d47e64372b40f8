#include "store/stoppable_store.h"

#include "base/error.h"

namespace holdfast {

void StoppableStore::check() const {
    if (stop_.stop_requested()) throw Error(ErrorCode::cancelled, "it was stopped");
}

CallOptions StoppableStore::stoppable(CallOptions options) const {
    if (options.stop.stop_possible()) return options;
    check();
    options.stop = stop_;
    return options;
}

PutResult StoppableStore::put(const std::string& name, std::span<const ByteView> parts,
                              const PutOptions& put_options, const CallOptions& options) {
    return inner_.put(name, parts, put_options, stoppable(options));
}

std::optional<Bytes> StoppableStore::get(const std::string& name, ByteRange range,
                                         const CallOptions& options) {
    return inner_.get(name, range, stoppable(options));
}

std::optional<ObjectInfo> StoppableStore::head(const std::string& name, const CallOptions& options) {
    return inner_.head(name, stoppable(options));
}

void StoppableStore::list(const std::string& prefix, const std::string& after,
                          const std::function<bool(const ObjectInfo&)>& visit, const CallOptions& options) {
    inner_.list(prefix, after, visit, stoppable(options));
}

void StoppableStore::remove(const std::string& name, const CallOptions& options) {
    inner_.remove(name, stoppable(options));
}

void StoppableStore::retain(const std::string& name, const Retention& retention, const CallOptions& options) {
    inner_.retain(name, retention, stoppable(options));
}

std::optional<Retention> StoppableStore::retention(const std::string& name, const CallOptions& options) {
    return inner_.retention(name, stoppable(options));
}

void StoppableStore::list_versions(const std::string& prefix,
                                   const std::function<bool(const ObjectVersion&)>& visit,
                                   const CallOptions& options) {
    inner_.list_versions(prefix, visit, stoppable(options));
}

std::optional<Bytes> StoppableStore::get_version(const std::string& name, const std::string& version,
                                                 ByteRange range, const CallOptions& options) {
    return inner_.get_version(name, version, range, stoppable(options));
}

void StoppableStore::remove_version(const std::string& name, const std::string& version,
                                    const CallOptions& options) {
    inner_.remove_version(name, version, stoppable(options));
}

void StoppableStore::set_tier(const std::string& name, const std::string& tier, const CallOptions& options) {
    inner_.set_tier(name, tier, stoppable(options));
}

ThawResult StoppableStore::thaw(const std::string& name, Duration keep, const CallOptions& options) {
    return inner_.thaw(name, keep, stoppable(options));
}

PutResult StoppableStore::copy(const std::string& from, const std::string& to, const PutOptions& put_options,
                               const CallOptions& options) {
    return inner_.copy(from, to, put_options, stoppable(options));
}

} // namespace holdfast
