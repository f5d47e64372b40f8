// What S3 answers where the servers of the integration tests never do: cold tiers, overload, redirects, late
// errors.
#include "store/s3_store.h"
#include "support/scripted_server.h"
#include "support/store_conformance.h"

#include <gmock/gmock.h>

namespace holdfast::test {

namespace {

using testing::HasSubstr;

std::string error_answer(const std::string& status, const std::string& code,
                         const std::string& headers = "") {
    return http_answer(status, headers,
                       "<Error><Code>" + code + "</Code><Message>in words</Message></Error>");
}

class ScriptedS3 : public testing::Test {
  protected:
    // A store whose server gives `answer` to everything.
    std::unique_ptr<S3Store> store_answering(const std::string& answer) {
        server_ = std::make_unique<ScriptedServer>([answer](const std::string&) { return Answer{answer}; });
        StoreCapabilities capabilities = s3_driver_capabilities(true);
        return std::make_unique<S3Store>(S3Settings{.bucket = "bucket",
                                                    .prefix = "p",
                                                    .endpoint = server_->endpoint(),
                                                    .region = "here",
                                                    .credentials = {"key-id", "topsecret", "token"},
                                                    .capabilities = capabilities});
    }

    std::unique_ptr<ScriptedServer> server_;
};

TEST_F(ScriptedS3, SaysHowToGetAColdObject) {
    const auto store = store_answering(error_answer("403 Forbidden", "InvalidObjectState"));
    const Error error = thrown_error([&] { store->get("a", {}, {}); });
    EXPECT_EQ(error.code(), ErrorCode::unavailable);
    EXPECT_FALSE(error.retryable());
    EXPECT_THAT(error.hint(), HasSubstr("thaw"));
    EXPECT_EQ(store->thaw("a", std::chrono::hours(1), {}), ThawResult::ready)
        << "what is not cold need not thaw";
}

TEST_F(ScriptedS3, AsksForThawing) {
    const auto store = store_answering(http_answer("202 Accepted"));
    EXPECT_EQ(store->thaw("a", std::chrono::hours(25), {}), ThawResult::pending);
    EXPECT_THAT(server_->requests().at(0), HasSubstr("POST /bucket/p/a?restore= HTTP/1.1"));
    EXPECT_THAT(server_->requests().at(0), HasSubstr("<Days>2</Days>"));
    EXPECT_EQ(store_answering(error_answer("409 Conflict", "RestoreAlreadyInProgress"))->thaw("a", {}, {}),
              ThawResult::pending);
    EXPECT_EQ(store_answering(http_answer("200 OK"))->thaw("a", {}, {}), ThawResult::ready);
}

TEST_F(ScriptedS3, SignsEverythingWithTheSessionToken) {
    const auto store = store_answering(http_answer("200 OK"));
    store->put("a", as_bytes("x"), {.only_if_absent = true, .tier = "GLACIER"});
    const std::string request = server_->requests().at(0);
    EXPECT_THAT(request, HasSubstr("Credential=key-id/"));
    EXPECT_THAT(request,
                HasSubstr("/here/s3/aws4_request, SignedHeaders=host;if-none-match;x-amz-content-sha256;"
                          "x-amz-date;x-amz-security-token;x-amz-storage-class, Signature="));
    EXPECT_THAT(request, testing::Not(HasSubstr("topsecret")));
}

TEST_F(ScriptedS3, PassesOnHowLongToWait) {
    const auto store = store_answering(error_answer("503 Slow Down", "SlowDown", "Retry-After: 7\r\n"));
    const Error error = thrown_error([&] { store->put("a", as_bytes("x")); });
    EXPECT_EQ(error.code(), ErrorCode::unavailable);
    EXPECT_TRUE(error.retryable());
    EXPECT_EQ(error.retry_after_seconds(), 7);
    EXPECT_THAT(error.message(), HasSubstr("storing a in s3://bucket/p at http://127.0.0.1"));
    EXPECT_THAT(error.message(), HasSubstr("HTTP 503 SlowDown: in words"));
}

TEST_F(ScriptedS3, TellsConflictsFromTakenNames) {
    const PutOptions only_if_absent{.only_if_absent = true};
    EXPECT_EQ(store_answering(error_answer("412 Precondition Failed", "PreconditionFailed"))
                  ->put("a", as_bytes("x"), only_if_absent),
              PutResult::already_there);
    const auto store = store_answering(error_answer("409 Conflict", "ConditionalRequestConflict"));
    EXPECT_TRUE(thrown_error([&] { store->put("a", as_bytes("x"), only_if_absent); }).retryable());
}

TEST_F(ScriptedS3, NamesTheRightRegion) {
    const auto store =
        store_answering(error_answer("301 Moved Permanently", "PermanentRedirect",
                                     "x-amz-bucket-region: there\r\nLocation: http://127.0.0.1:1/\r\n"));
    const Error error = thrown_error([&] { store->get("a", {}, {}); });
    EXPECT_FALSE(error.retryable());
    EXPECT_EQ(error.hint(), "set the region to there");
}

TEST_F(ScriptedS3, SeesAnErrorInASuccess) {
    const auto store = store_answering(error_answer("200 OK", "InternalError"));
    const Error error = thrown_error([&] { store->copy("a", "b", {}, {}); });
    EXPECT_EQ(error.code(), ErrorCode::unavailable);
    EXPECT_TRUE(error.retryable());
}

TEST_F(ScriptedS3, DoesNotTakeAnyNotFoundForAnAbsentObject) {
    EXPECT_EQ(store_answering(error_answer("404 Not Found", "NoSuchKey"))->get("a", {}, {}), std::nullopt);
    EXPECT_EQ(error_code_of([&] {
                  store_answering(http_answer("404 Not Found", "", "<html>proxy</html>"))->get("a", {}, {});
              }),
              ErrorCode::not_found);
}

TEST_F(ScriptedS3, ChecksThatARangeIsTheOneItAskedFor) {
    const ByteRange range{.offset = 2, .length = 3};
    EXPECT_EQ(store_answering(http_answer("206 Partial Content", "Content-Range: bytes 2-4/9\r\n", "cde"))
                  ->get("a", range, {}),
              Bytes({'c', 'd', 'e'}));
    EXPECT_EQ(store_answering(http_answer("200 OK", "", "abcdefghi"))->get("a", range, {}),
              Bytes({'c', 'd', 'e'}));
    EXPECT_EQ(error_code_of([&] {
                  store_answering(http_answer("206 Partial Content", "Content-Range: bytes 0-2/9\r\n", "abc"))
                      ->get("a", range, {});
              }),
              ErrorCode::corrupt);
}

TEST_F(ScriptedS3, DoesNotOverwriteAnObjectWhereLocksAreUnknown) {
    const auto store = store_answering(http_answer("200 OK", "", "the bytes of the object"));
    EXPECT_EQ(error_code_of([&] { store->retain("a", {.until = system_clock().now()}, {}); }),
              ErrorCode::unsupported);
    ASSERT_EQ(server_->requests().size(), 1U);
    EXPECT_TRUE(server_->requests()[0].starts_with("GET "));
}

TEST_F(ScriptedS3, DoesNotListForEver) {
    const auto store = store_answering(
        http_answer("200 OK", "",
                    "<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>t"
                    "</NextContinuationToken></ListBucketResult>"));
    EXPECT_EQ(error_code_of([&] { store->list_all(""); }), ErrorCode::corrupt);
}

} // namespace

} // namespace holdfast::test
