// A store in a bucket of S3, or of a server that speaks its protocol: s3://bucket/prefix.
//
// An object is named prefix/name. What is sent is guarded by its SHA-256 in the signature, which every server
// checks against what it received; requests that set a lock carry Content-MD5 as well, because S3 demands it
// there.
#pragma once

#include "store/s3_client.h"

namespace holdfast {

// Thread-safe. CallOptions::timeout is for each page of a listing and for all parts of a large object.
class S3Store final : public Store {
  public:
    // Settings must be complete (see complete_s3_settings). Sends nothing yet. `clock` must outlive the
    // store.
    explicit S3Store(S3Settings settings, Clock& clock = system_clock());

    using Store::put;
    std::string url() const override;
    // What the settings say is known; otherwise all that the driver can ask for.
    StoreCapabilities capabilities() const override;
    // With only_if_absent the object goes up in one request, whatever its size up to 5 GiB, because not every
    // server checks the condition when an upload in parts is completed.
    PutResult put(const std::string& name, std::span<const ByteView> parts, const PutOptions& put_options,
                  const CallOptions& options) override;
    std::optional<Bytes> get(const std::string& name, ByteRange range, const CallOptions& options) override;
    // S3 gives no reason for a 404 here: a missing bucket looks like a missing object.
    std::optional<ObjectInfo> head(const std::string& name, const CallOptions& options) override;
    void list(const std::string& prefix, const std::string& after,
              const std::function<bool(const ObjectInfo&)>& visit, const CallOptions& options) override;
    // In a bucket with versions this adds a delete marker, also over a locked object, whose version stays.
    void remove(const std::string& name, const CallOptions& options) override;
    void retain(const std::string& name, const Retention& retention, const CallOptions& options) override;
    std::optional<Retention> retention(const std::string& name, const CallOptions& options) override;
    void list_versions(const std::string& prefix, const std::function<bool(const ObjectVersion&)>& visit,
                       const CallOptions& options) override;
    std::optional<Bytes> get_version(const std::string& name, const std::string& version, ByteRange range,
                                     const CallOptions& options) override;
    void remove_version(const std::string& name, const std::string& version,
                        const CallOptions& options) override;
    // Tiers are storage classes. The object is copied onto itself; its lock goes with it.
    void set_tier(const std::string& name, const std::string& tier, const CallOptions& options) override;
    // Asks for the standard speed, which takes hours.
    ThawResult thaw(const std::string& name, Duration keep, const CallOptions& options) override;
    // Up to 5 GiB. Refuses only_if_absent: S3 does not promise it for copies.
    PutResult copy(const std::string& from, const std::string& to, const PutOptions& put_options,
                   const CallOptions& options) override;

  private:
    std::string key_of(const std::string& name) const;
    std::optional<std::string> name_of(const std::string& key) const;
    std::optional<ObjectInfo> info_of(const S3Object& object) const;
    void require(bool capability, std::string_view what) const;
    NameValues put_headers(const PutOptions& put_options) const;
    std::optional<Bytes> read(const std::string& name, const std::string& version, ByteRange range,
                              const CallOptions& options);
    void copy_to(const std::string& from, const std::string& to, NameValues headers, bool with_md5,
                 const CallOptions& options);
    bool visit_page(const S3ObjectPage& page, const std::function<bool(const ObjectInfo&)>& visit) const;
    bool visit_page(const S3VersionPage& page, const std::function<bool(const ObjectVersion&)>& visit) const;

    S3Client client_;
    const StoreCapabilities capabilities_;
    const std::string base_; // "" or "prefix/"
};

// What the driver knows to ask for, at AWS or elsewhere.
StoreCapabilities s3_driver_capabilities(bool at_aws);

} // namespace holdfast
