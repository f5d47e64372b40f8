#include "base/sha256.h"
#include "store/retry_store.h"
#include "store/s3_store.h"
#include "store/store_factory.h"
#include "support/s3_server.h"
#include "support/store_conformance.h"

#include <atomic>

#include <gmock/gmock.h>

namespace holdfast::test {

namespace {

using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;

const PutOptions only_if_absent{.only_if_absent = true};

std::string new_bucket(S3ServerKind kind, bool versions = false, bool locks = false) {
    static std::atomic<int> next = 0;
    const std::string name = "bucket" + std::to_string(next++);
    S3Server::shared(kind).make_bucket(name, versions, locks);
    return name;
}

class OnRadosgw : public testing::Test {
  protected:
    S3Settings settings() const { return server_.settings(bucket_); }

    S3Server& server_ = S3Server::shared(S3ServerKind::radosgw);
    std::string bucket_ = new_bucket(S3ServerKind::radosgw);
};

void expect_nothing_left(S3ServerKind kind, const std::string& bucket) {
    S3Client client(S3Server::shared(kind).settings(bucket), system_clock());
    const S3Answer objects = client.expect({.query = {{"list-type", "2"}}}, {}, "listing");
    EXPECT_TRUE(parse_object_page(objects.http.body).objects.empty());
    if (kind != S3ServerKind::radosgw) return;
    const S3Answer versions = client.expect({.query = {{"versions", ""}}}, {}, "listing");
    EXPECT_TRUE(parse_version_page(versions.http.body).versions.empty());
    const S3Answer uploads = client.expect({.query = {{"uploads", ""}}}, {}, "listing");
    EXPECT_EQ(as_text(uploads.http.body).find("<UploadId>"), std::string_view::npos);
}

TEST(S3Probe, FindsWhatServersReallyDo) {
    struct Case {
        S3ServerKind kind;
        bool versions;
        bool locks;
        bool put_if_absent;
        bool versions_found;
    };
    for (const Case& expected : {Case{S3ServerKind::radosgw, false, false, true, false},
                                 Case{S3ServerKind::radosgw, true, false, false, true},
                                 Case{S3ServerKind::radosgw, false, true, false, true},
                                 Case{S3ServerKind::swift, false, false, false, false}}) {
        SCOPED_TRACE(testing::Message() << "server " << static_cast<int>(expected.kind) << " versions "
                                        << expected.versions << " locks " << expected.locks);
        const std::string bucket = new_bucket(expected.kind, expected.versions, expected.locks);
        S3Store store(S3Server::shared(expected.kind).settings(bucket));
        const StoreCapabilities found = probe_capabilities(store);
        EXPECT_EQ(found.put_if_absent, expected.put_if_absent);
        EXPECT_EQ(found.versions, expected.versions_found);
        EXPECT_EQ(found.object_lock, expected.locks);
        EXPECT_TRUE(found.consistent);
        EXPECT_TRUE(found.server_copy);
        EXPECT_EQ(found.largest_object_bytes, 5ULL << 40);
        expect_nothing_left(expected.kind, bucket);
    }
}

TEST(S3Integrity, ServersRefuseBytesThatChangedOnTheirWay) {
    for (const S3ServerKind kind : {S3ServerKind::radosgw, S3ServerKind::swift}) {
        S3Client client(S3Server::shared(kind).settings(new_bucket(kind)), system_clock());
        const ByteView sent = as_bytes("what arrives");
        const ByteView meant = as_bytes("what was meant");
        const S3Answer answer = client.call({.method = "PUT",
                                             .key = "changed",
                                             .body = std::span(&sent, 1),
                                             .payload_hash = sha256_hex(std::span(&meant, 1))},
                                            {});
        EXPECT_FALSE(answer.succeeded()) << "server " << static_cast<int>(kind);
        EXPECT_TRUE(client.error_of(answer, "storing").retryable())
            << client.error_of(answer, "storing").message();
        EXPECT_EQ(client.call({.key = "changed"}, {}).http.status, 404);
    }
}

TEST(S3OnSwift, RefusesPutIfAbsentWithoutStoring) {
    S3Store store(S3Server::shared(S3ServerKind::swift).settings(new_bucket(S3ServerKind::swift)));
    const Error error = thrown_error([&] { store.put("a", as_bytes("x"), only_if_absent); });
    EXPECT_EQ(error.code(), ErrorCode::unsupported) << error.message();
    EXPECT_FALSE(error.retryable());
    EXPECT_EQ(store.get("a", {}, {}), std::nullopt);
}

TEST_F(OnRadosgw, NamesWhatIsWrongWithCredentials) {
    S3Settings wrong = settings();
    wrong.credentials.secret_key = "not-the-secret";
    const Error error = thrown_error([&] { S3Store(wrong).put("a", as_bytes("x")); });
    EXPECT_EQ(error.code(), ErrorCode::access_denied);
    EXPECT_FALSE(error.retryable());
    EXPECT_THAT(error.message(), HasSubstr("SignatureDoesNotMatch"));
    EXPECT_THAT(error.hint(), HasSubstr("secret key"));
    EXPECT_THAT(error.message() + error.hint(), Not(HasSubstr("not-the-secret")));
    wrong.credentials = {"nobody", "nothing"};
    EXPECT_THAT(thrown_error([&] { S3Store(wrong).put("a", as_bytes("x")); }).message(),
                HasSubstr("InvalidAccessKeyId"));
}

TEST_F(OnRadosgw, NamesAMissingBucket) {
    S3Settings wrong = settings();
    wrong.bucket = "no-such-bucket";
    S3Store store(wrong);
    for (const std::function<void()>& call :
         std::vector<std::function<void()>>{[&] { store.put("a", as_bytes("x")); },
                                            [&] { store.get("a", {}, {}); }, [&] { store.list_all(""); }}) {
        const Error error = thrown_error(call);
        EXPECT_EQ(error.code(), ErrorCode::not_found);
        EXPECT_THAT(error.message(), HasSubstr("s3://no-such-bucket"));
        EXPECT_THAT(error.hint(), HasSubstr("create the bucket"));
    }
}

TEST_F(OnRadosgw, NamesAWrongClock) {
    FakeClock clock(system_clock().now() + std::chrono::hours(1));
    S3Store store(settings(), clock);
    const Error error = thrown_error([&] { store.put("a", as_bytes("x")); });
    EXPECT_EQ(error.code(), ErrorCode::access_denied);
    EXPECT_THAT(error.message(), HasSubstr("RequestTimeTooSkewed"));
    EXPECT_THAT(error.hint(), ContainsRegex("set the clock of this machine: it is 3[56][0-9][0-9] s ahead"));
}

TEST_F(OnRadosgw, DoesNotTrustAnUnknownCa) {
    S3Settings tls = settings();
    tls.endpoint = server_.value("tls_endpoint");
    const Error error = thrown_error([&] { S3Store(tls).list_all(""); });
    EXPECT_EQ(error.code(), ErrorCode::unavailable);
    EXPECT_FALSE(error.retryable());
    EXPECT_THAT(error.hint(), HasSubstr("ca_file"));
    tls.ca_file = server_.ca_file();
    EXPECT_TRUE(S3Store(tls).list_all("").empty());
}

TEST_F(OnRadosgw, SpeaksToVirtualHosts) {
    S3Settings virtual_host = settings();
    virtual_host.addressing = S3Addressing::virtual_host;
    virtual_host.endpoint.replace(virtual_host.endpoint.find("127.0.0.1"), 9, "localhost");
    S3Store store(virtual_host);
    store.put("a", as_bytes("x"));
    EXPECT_EQ(S3Store(settings()).get("a", {}, {}), Bytes{'x'});
}

TEST_F(OnRadosgw, AbortsAnUploadThatFails) {
    S3Settings small_parts = settings();
    small_parts.multipart_above_bytes = 2 << 20;
    small_parts.part_bytes = 1 << 20; // smaller than the server allows, which it says at the end
    S3Store store(small_parts);
    const Error error = thrown_error([&] { store.put("large", Bytes(5 << 20)); });
    EXPECT_THAT(error.message(), HasSubstr("EntityTooSmall"));
    EXPECT_EQ(store.get("large", {}, {}), std::nullopt);
    expect_nothing_left(S3ServerKind::radosgw, bucket_);
}

TEST_F(OnRadosgw, PutsALargeObjectOnlyIfAbsentInOneRequest) {
    S3Settings settings = this->settings();
    settings.multipart_above_bytes = 6 << 20;
    S3Store store(settings);
    EXPECT_EQ(store.put("large", patterned_bytes(7 << 20, 1), only_if_absent), PutResult::stored);
    EXPECT_EQ(store.put("large", patterned_bytes(7 << 20, 2), only_if_absent), PutResult::already_there);
    EXPECT_TRUE(store.get("large", {}, {}) == patterned_bytes(7 << 20, 1));
}

TEST_F(OnRadosgw, KeepsToItsPrefix) {
    S3Store whole(settings());
    S3Settings inner_settings = settings();
    inner_settings.prefix = "a/b";
    S3Store inner(inner_settings);
    whole.put("a/b2", as_bytes("x"));
    whole.put("a/c/d", as_bytes("x"));
    inner.put("d", as_bytes("x"));
    // Others may have put things here that no object of ours can be called.
    S3Client client(settings(), system_clock());
    client.expect({.method = "PUT", .key = "a/b/with space+\x01&<é"}, {}, "making a stranger");
    client.expect({.method = "PUT", .key = "a/b/folder/"}, {}, "making a stranger");
    std::vector<std::string> names;
    for (const ObjectInfo& object : inner.list_all("")) names.push_back(object.name);
    EXPECT_EQ(names, std::vector<std::string>{"d"});
    EXPECT_EQ(whole.list_all("").size(), 3U);
}

TEST_F(OnRadosgw, TriesAgainWhenNobodyAnswers) {
    S3Settings gone = settings();
    gone.endpoint = "http://127.0.0.1:1";
    FakeClock clock(system_clock().now());
    RetryStore store(std::make_shared<S3Store>(gone), {.attempts = 3}, clock);
    const Error error = thrown_error([&] { store.put("a", as_bytes("x")); });
    EXPECT_EQ(store.retries(), 2U);
    EXPECT_EQ(error.code(), ErrorCode::unavailable);
    EXPECT_THAT(error.message(), HasSubstr("127.0.0.1:1"));
}

TEST(S3Locks, RefuseWithTheReason) {
    const std::string locks = new_bucket(S3ServerKind::radosgw, false, true);
    S3Store locked(S3Server::shared(S3ServerKind::radosgw).settings(locks));
    const Retention hour{.until = system_clock().now() + std::chrono::hours(1)};
    locked.put("a", as_bytes("x"), {.retention = hour});
    std::string version;
    locked.list_versions("a", [&](const ObjectVersion& found) { return (version = found.version).empty(); },
                         {});
    const Error error = thrown_error([&] { locked.remove_version("a", version, {}); });
    EXPECT_EQ(error.code(), ErrorCode::access_denied);
    EXPECT_FALSE(error.retryable());
    // A bucket that was made without locks says what to do.
    S3Store open(S3Server::shared(S3ServerKind::radosgw).settings(new_bucket(S3ServerKind::radosgw)));
    const Error unsupported = thrown_error([&] { open.put("a", as_bytes("x"), {.retention = hour}); });
    EXPECT_EQ(unsupported.code(), ErrorCode::unsupported) << unsupported.message();
    EXPECT_THAT(unsupported.hint(), HasSubstr("object lock"));
}

} // namespace

} // namespace holdfast::test
