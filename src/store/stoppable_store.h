// A store on which every call ends once a stop is requested: for long work that makes many calls.
#pragma once

#include "store/store.h"

namespace holdfast {

// Gives calls without a stop token of their own that of the work, and refuses with Error(cancelled) to begin
// any once the stop was requested. A call that had begun may have happened. Thread-safe; `inner` must outlive
// it. The verbs that only some stores have are not passed on.
class StoppableStore final : public Store {
  public:
    StoppableStore(Store& inner, std::stop_token stop) : inner_(inner), stop_(std::move(stop)) {}

    using Store::put;
    std::string url() const override { return inner_.url(); }
    StoreCapabilities capabilities() const override { return inner_.capabilities(); }
    PutResult put(const std::string& name, std::span<const ByteView> parts, const PutOptions& put_options,
                  const CallOptions& options) override {
        return inner_.put(name, parts, put_options, stoppable(options));
    }
    std::optional<Bytes> get(const std::string& name, ByteRange range, const CallOptions& options) override {
        return inner_.get(name, range, stoppable(options));
    }
    std::optional<ObjectInfo> head(const std::string& name, const CallOptions& options) override {
        return inner_.head(name, stoppable(options));
    }
    void list(const std::string& prefix, const std::string& after,
              const std::function<bool(const ObjectInfo&)>& visit, const CallOptions& options) override {
        inner_.list(prefix, after, visit, stoppable(options));
    }
    void remove(const std::string& name, const CallOptions& options) override {
        inner_.remove(name, stoppable(options));
    }

    // Throws Error(cancelled) once the stop was requested.
    void check() const;

  private:
    CallOptions stoppable(CallOptions options) const;

    Store& inner_;
    std::stop_token stop_;
};

} // namespace holdfast
