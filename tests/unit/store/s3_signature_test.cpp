// The examples of "Signature calculations for the Authorization header" (Amazon S3 API Reference) and of the
// Signature Version 4 test suite that AWS publishes.
#include "base/error.h"
#include "base/sha256.h"
#include "store/s3_signature.h"

#include <gtest/gtest.h>

namespace holdfast::test {

namespace {

const std::string empty_hash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

std::string hash_of(std::string_view text) {
    const ByteView view = as_bytes(text);
    return sha256_hex(view);
}

struct Vector {
    std::string label;
    SigningRequest request;
    std::string signed_headers;
    std::string signature;
};

std::string signature_in(const std::string& header) { return header.substr(header.rfind('=') + 1); }

TEST(S3Signature, AgreesWithTheExamplesOfS3) {
    const S3Credentials credentials{"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"};
    const Timestamp time = from_rfc3339("2013-05-24T00:00:00Z");
    const std::string content = "Welcome to Amazon S3.";
    const std::vector<Vector> vectors = {
        {"get object",
         {.method = "GET",
          .path = "/test.txt",
          .headers = {{"Range", "bytes=0-9"}},
          .payload_hash = empty_hash},
         "host;range;x-amz-content-sha256;x-amz-date",
         "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"},
        {"put object",
         {.method = "PUT",
          .path = "/" + uri_encode("test$file.text", true),
          .headers = {{"Date", "Fri, 24 May 2013 00:00:00 GMT"},
                      {"x-amz-storage-class", "REDUCED_REDUNDANCY"}},
          .payload_hash = hash_of(content)},
         "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
         "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"},
        {"get bucket lifecycle",
         {.method = "GET", .path = "/", .query = {{"lifecycle", ""}}, .payload_hash = empty_hash},
         "host;x-amz-content-sha256;x-amz-date",
         "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"},
        {"list objects",
         {.method = "GET",
          .path = "/",
          .query = {{"prefix", "J"}, {"max-keys", "2"}},
          .payload_hash = empty_hash},
         "host;x-amz-content-sha256;x-amz-date",
         "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"},
    };
    for (Vector vector : vectors) {
        vector.request.headers.emplace_back("Host", "examplebucket.s3.amazonaws.com");
        vector.request.headers.emplace_back("x-amz-date", amz_date(time));
        vector.request.headers.emplace_back("x-amz-content-sha256", vector.request.payload_hash);
        EXPECT_EQ(authorization_header(vector.request, credentials, "us-east-1", "s3", time),
                  "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
                  "SignedHeaders=" +
                      vector.signed_headers + ", Signature=" + vector.signature)
            << vector.label;
    }
}

TEST(S3Signature, AgreesWithTheTestSuiteOfVersion4) {
    const S3Credentials credentials{"AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"};
    const Timestamp time = from_rfc3339("2015-08-30T12:36:00Z");
    const std::vector<Vector> vectors = {
        {"get-vanilla",
         {.method = "GET", .path = "/", .payload_hash = empty_hash},
         "",
         "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
        {"get-vanilla-query-order-key-case",
         {.method = "GET",
          .path = "/",
          .query = {{"Param2", "value2"}, {"Param1", "value1"}},
          .payload_hash = empty_hash},
         "",
         "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
        {"post-vanilla",
         {.method = "POST", .path = "/", .payload_hash = empty_hash},
         "",
         "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
    };
    for (Vector vector : vectors) {
        vector.request.headers = {{"Host", "example.amazonaws.com"}, {"X-Amz-Date", amz_date(time)}};
        EXPECT_EQ(
            signature_in(authorization_header(vector.request, credentials, "us-east-1", "service", time)),
            vector.signature)
            << vector.label;
    }
}

TEST(S3Signature, WritesTheCanonicalRequest) {
    const SigningRequest request{
        .method = "GET",
        .path = "/a%20b",
        .query = {{"b", "1 2"}, {"a", "x/y"}, {"a", "c"}},
        .headers = {{"X-Second", "  two   words "}, {"Host", "h"}, {"x-second", "more"}},
        .payload_hash = std::string(unsigned_payload)};
    EXPECT_EQ(canonical_request(request), "GET\n/a%20b\na=c&a=x%2Fy&b=1%202\nhost:h\nx-second:two "
                                          "words,more\n\nhost;x-second\nUNSIGNED-PAYLOAD");
}

TEST(S3Signature, EncodesOnce) {
    EXPECT_EQ(uri_encode("a/b c+~%", true), "a/b%20c%2B~%25");
    EXPECT_EQ(uri_encode("a/b"), "a%2Fb");
    EXPECT_EQ(uri_encode("\xc3\xa9"), "%C3%A9");
    EXPECT_EQ(amz_date(from_rfc3339("2013-05-24T01:02:03.999Z")), "20130524T010203Z");
}

TEST(S3Signature, HashesPartsAsOne) {
    const std::vector<ByteView> parts = {as_bytes("ab"), ByteView(), as_bytes("c")};
    EXPECT_EQ(sha256_hex(parts), hash_of("abc"));
    EXPECT_EQ(sha256_hex(ByteView()), empty_hash);
}

} // namespace

} // namespace holdfast::test
