// A store on which every call ends once a stop is requested: for long work that makes many calls.
#pragma once

#include "store/store.h"

namespace holdfast {

// Gives calls without a stop token of their own that of the work, and refuses with Error(cancelled) to begin
// any of these once the stop was requested; one that had begun may have happened. A call with a token of its
// own is passed on as it is. Thread-safe; `inner` must outlive it.
class StoppableStore final : public Store {
  public:
    StoppableStore(Store& inner, std::stop_token stop) : inner_(inner), stop_(std::move(stop)) {}

    using Store::put;
    std::string url() const override { return inner_.url(); }
    StoreCapabilities capabilities() const override { return inner_.capabilities(); }
    PutResult put(const std::string& name, std::span<const ByteView> parts, const PutOptions& put_options,
                  const CallOptions& options) override;
    std::optional<Bytes> get(const std::string& name, ByteRange range, const CallOptions& options) override;
    std::optional<ObjectInfo> head(const std::string& name, const CallOptions& options) override;
    void list(const std::string& prefix, const std::string& after,
              const std::function<bool(const ObjectInfo&)>& visit, const CallOptions& options) override;
    void remove(const std::string& name, const CallOptions& options) override;
    void retain(const std::string& name, const Retention& retention, const CallOptions& options) override;
    std::optional<Retention> retention(const std::string& name, const CallOptions& options) override;
    void list_versions(const std::string& prefix, const std::function<bool(const ObjectVersion&)>& visit,
                       const CallOptions& options) override;
    std::optional<Bytes> get_version(const std::string& name, const std::string& version, ByteRange range,
                                     const CallOptions& options) override;
    void remove_version(const std::string& name, const std::string& version,
                        const CallOptions& options) override;
    void set_tier(const std::string& name, const std::string& tier, const CallOptions& options) override;
    ThawResult thaw(const std::string& name, Duration keep, const CallOptions& options) override;
    PutResult copy(const std::string& from, const std::string& to, const PutOptions& put_options,
                   const CallOptions& options) override;

    // Throws Error(cancelled) once the stop was requested.
    void check() const;

  private:
    CallOptions stoppable(CallOptions options) const;

    Store& inner_;
    std::stop_token stop_;
};

} // namespace holdfast
