// Real S3 servers for tests, started by the scripts in scripts/servers/ and stopped with their owner.
#pragma once

#include "store/s3_settings.h"
#include "support/temporary_directory.h"

#include <map>
#include <memory>
#include <string>

namespace holdfast::test {

enum class S3ServerKind {
    radosgw, // Ceph: everything but thawing
    swift,   // OpenStack Swift with s3api: no conditional puts, versions or locks
};

// Throws std::runtime_error, with what the script said, when the server does not start: tests must then fail.
class S3Server {
  public:
    explicit S3Server(S3ServerKind kind);
    ~S3Server();
    S3Server(const S3Server&) = delete;
    S3Server& operator=(const S3Server&) = delete;

    // One server of each kind for the whole program, started when it is first asked for. A start that
    // failed is not tried again.
    static S3Server& shared(S3ServerKind kind);

    // What the script printed: endpoint, region, access_key, secret_key; tls_endpoint where there is one.
    const std::string& value(const std::string& key) const;
    S3Credentials credentials() const { return {value("access_key"), value("secret_key")}; }
    // Complete settings for `bucket`.
    S3Settings settings(const std::string& bucket) const;
    // Makes a bucket; with versions or locks when asked for.
    void make_bucket(const std::string& bucket, bool versions = false, bool locks = false);
    // A CA that signed the certificate of tls_endpoint.
    std::string ca_file() const { return directory_ / "tls/ca.pem"; }

  private:
    void make_certificates() const;

    TemporaryDirectory directory_;
    std::string script_;
    std::map<std::string, std::string> values_;
};

} // namespace holdfast::test
