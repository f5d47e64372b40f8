#include "store/file_store.h"
#include "store/s3_settings.h"
#include "store/store_factory.h"
#include "support/store_conformance.h"
#include "support/temporary_directory.h"

#include <fstream>

#include <gmock/gmock.h>

namespace holdfast::test {

namespace {

using testing::HasSubstr;
using testing::Not;

Environment environment_of(std::map<std::string, std::string> variables) {
    return [variables = std::move(variables)](const std::string& name) -> std::optional<std::string> {
        const auto found = variables.find(name);
        if (found == variables.end()) return std::nullopt;
        return found->second;
    };
}

TEST(S3Url, NamesBucketPrefixAndParameters) {
    const S3Settings plain = parse_s3_url("s3://bucket");
    EXPECT_EQ(plain.bucket, "bucket");
    EXPECT_EQ(plain.prefix, "");
    EXPECT_TRUE(plain.at_aws());
    EXPECT_TRUE(plain.virtual_host());
    EXPECT_EQ(plain.effective_endpoint(), "https://s3.us-east-1.amazonaws.com");
    const S3Settings all =
        parse_s3_url("s3://my.bucket/a/b/?endpoint=http%3A%2F%2Flocalhost:9000/"
                     "&region=eu-1&style=virtual&ca_file=/etc/ca%20x.pem&profile=p&min_tls=1.2");
    EXPECT_EQ(all.bucket, "my.bucket");
    EXPECT_EQ(all.prefix, "a/b");
    EXPECT_EQ(all.endpoint, "http://localhost:9000");
    EXPECT_EQ(all.region, "eu-1");
    EXPECT_EQ(all.addressing, S3Addressing::virtual_host);
    EXPECT_EQ(all.ca_file, "/etc/ca x.pem");
    EXPECT_EQ(all.profile, "p");
    EXPECT_EQ(all.min_tls, "1.2");
    EXPECT_EQ(plain.min_tls, "") << "1.3";
    EXPECT_FALSE(parse_s3_url("s3://bucket?endpoint=https://x").virtual_host());
    EXPECT_FALSE(parse_s3_url("s3://my.bucket").virtual_host()) << "no certificate fits a bucket with dots";
}

TEST(S3Url, RefusesEverythingElse) {
    for (const std::string url : {"",
                                  "s3:/bucket",
                                  "s3://",
                                  "s3:///prefix",
                                  "s3://b",
                                  "s3://buck et",
                                  "s3://bucket//a",
                                  "s3://bucket/../a",
                                  "s3://bucket/a?region",
                                  "s3://bucket?other=1",
                                  "s3://bucket?style=other",
                                  "s3://bucket?region=",
                                  "s3://bucket?min_tls=1.1",
                                  "s3://bucket?region=a@b",
                                  "s3://bucket?region=a/b",
                                  "s3://bucket?region=%4",
                                  "s3://bucket?endpoint=localhost",
                                  "s3://bucket?endpoint=ftp://x",
                                  "s3://bucket?endpoint=https://",
                                  "s3://bucket?endpoint=https://x/path",
                                  "s3://bucket?endpoint=https://user:secret@x",
                                  "s3://bucket/.a"}) {
        EXPECT_EQ(error_code_of([&] { parse_s3_url(url); }), ErrorCode::usage) << url;
    }
    const Error error = thrown_error([] { parse_s3_url("s3://AKIA:topsecret@bucket/prefix"); });
    EXPECT_THAT(error.message() + error.hint(), Not(HasSubstr("topsecret")));
    EXPECT_THAT(error.hint(), HasSubstr("AWS_ACCESS_KEY_ID"));
}

TEST(S3Credentials, ComeFromTheEnvironment) {
    const S3Settings settings =
        complete_s3_settings(parse_s3_url("s3://bucket"), environment_of({{"AWS_ACCESS_KEY_ID", "id"},
                                                                          {"AWS_SECRET_ACCESS_KEY", "secret"},
                                                                          {"AWS_SESSION_TOKEN", "token"},
                                                                          {"AWS_REGION", "eu-2"},
                                                                          {"AWS_ENDPOINT_URL", "https://e/"},
                                                                          {"AWS_CA_BUNDLE", "/ca"}}));
    EXPECT_EQ(settings.credentials.access_key, "id");
    EXPECT_EQ(settings.credentials.secret_key, "secret");
    EXPECT_EQ(settings.credentials.session_token, "token");
    EXPECT_EQ(settings.region, "eu-2");
    EXPECT_EQ(settings.endpoint, "https://e");
    EXPECT_EQ(settings.ca_file, "/ca");
    const S3Settings url_wins =
        complete_s3_settings(parse_s3_url("s3://bucket?region=mine&endpoint=http://mine"),
                             environment_of({{"AWS_ACCESS_KEY_ID", "id"},
                                             {"AWS_SECRET_ACCESS_KEY", "s"},
                                             {"AWS_REGION", "x"},
                                             {"AWS_ENDPOINT_URL", "https://e"}}));
    EXPECT_EQ(url_wins.region, "mine");
    EXPECT_EQ(url_wins.endpoint, "http://mine");
}

class S3Profiles : public testing::Test {
  protected:
    S3Profiles() {
        std::filesystem::create_directory(directory_ / ".aws");
        std::ofstream(directory_ / ".aws/credentials")
            << "# comment\n[default]\naws_access_key_id = d-id\r\n"
               "aws_secret_access_key=d=secret\n\n[other]\n"
               "aws_access_key_id=o-id\naws_secret_access_key=o-secret\n"
               "aws_session_token = o-token\n";
        std::ofstream(directory_ / ".aws/config")
            << "[default]\nregion=d-region\ns3 =\n  addressing_style = path\n"
               "[profile other]\nregion=o-region\nendpoint_url=http://o:1\n";
    }
    TemporaryDirectory directory_;
    std::map<std::string, std::string> variables_ = {{"HOME", directory_.path().string()}};
};

TEST_F(S3Profiles, AreReadFromTheHomeDirectory) {
    const S3Settings settings = complete_s3_settings(parse_s3_url("s3://bucket"), environment_of(variables_));
    EXPECT_EQ(settings.credentials.access_key, "d-id");
    EXPECT_EQ(settings.credentials.secret_key, "d=secret");
    EXPECT_EQ(settings.credentials.session_token, "");
    EXPECT_EQ(settings.region, "d-region");
}

TEST_F(S3Profiles, ANamedProfileIsPreferredToTheEnvironment) {
    variables_["AWS_ACCESS_KEY_ID"] = "e-id";
    variables_["AWS_SECRET_ACCESS_KEY"] = "e-secret";
    const S3Settings settings =
        complete_s3_settings(parse_s3_url("s3://bucket?profile=other"), environment_of(variables_));
    EXPECT_EQ(settings.credentials.access_key, "o-id");
    EXPECT_EQ(settings.credentials.session_token, "o-token");
    EXPECT_EQ(settings.region, "o-region");
    EXPECT_EQ(settings.endpoint, "http://o:1");
    EXPECT_EQ(
        complete_s3_settings(parse_s3_url("s3://bucket"), environment_of(variables_)).credentials.access_key,
        "e-id");
}

TEST_F(S3Profiles, SaysWhatIsMissing) {
    const Error error = thrown_error([&] {
        complete_s3_settings(parse_s3_url("s3://bucket?profile=nobody"), environment_of(variables_));
    });
    EXPECT_EQ(error.code(), ErrorCode::usage);
    EXPECT_THAT(error.hint(), HasSubstr("'nobody'"));
}

TEST(S3ProfilesFile, NeverRepeatsALine) {
    const Error error = thrown_error([] { parse_profiles("[a]\nx = 1\ntopsecret\n", "file"); });
    EXPECT_EQ(error.message(), "file: line 3 is neither [profile] nor name = value");
    EXPECT_EQ(error_code_of([] { parse_profiles("x = 1\n", "file"); }), ErrorCode::usage);
    EXPECT_TRUE(parse_profiles("", "file").empty());
}

TEST(StoreFactory, OpensByUrl) {
    TemporaryDirectory directory;
    const OpenStore open = open_store(file_url_of(directory / "with space"));
    EXPECT_EQ(open.store->put("a", as_bytes("x")), PutResult::stored);
    EXPECT_EQ(open_store(directory / "with space").store->get("a", {}, {}), Bytes{'x'});
    EXPECT_EQ(open.metrics->metrics()[StoreVerb::put].sent_bytes, 1U);
    EXPECT_EQ(open.retry->retries(), 0U);
    const Error error = thrown_error([] { open_store("gopher://user:topsecret@host"); });
    EXPECT_EQ(error.code(), ErrorCode::usage);
    EXPECT_THAT(error.message() + error.hint(), Not(HasSubstr("topsecret")));
    EXPECT_EQ(error_code_of([] { open_store("relative/path"); }), ErrorCode::usage);
}

TEST(StoreFactory, KeepsSecretsOutOfTheUrl) {
    StoreSettings settings;
    settings.environment = environment_of({});
    settings.s3_credentials = {"id", "topsecret", "token"};
    settings.s3_endpoint = "http://localhost:1";
    EXPECT_EQ(open_store("s3://bucket/p?region=r", settings).store->url(),
              "s3://bucket/p?endpoint=http://localhost:1");
}

} // namespace

} // namespace holdfast::test
