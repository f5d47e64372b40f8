#include "base/secret_text.h"

#include <string>

#include <gmock/gmock.h>

namespace holdfast {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(SecretText, LosesTokensAndPasswords) {
    const std::string token = "hf_" + std::string(32, 'a') + std::string(32, '0');
    EXPECT_EQ(without_secrets("shown " + token + ", twice"), "shown hf_(left out), twice");
    EXPECT_EQ(without_secrets("postgresql://anna:geheim@db:5432/orders?x=1"),
              "postgresql://anna:(left out)@db:5432/orders?x=1");
    // Nobody escapes what he types in haste.
    EXPECT_THAT(without_secrets("postgresql://anna:ge/h@e:im@db/orders"), Not(HasSubstr("im@")));
    EXPECT_EQ(without_secrets("host=db password=geheim user=anna"), "host=db password=(left out) user=anna");
    EXPECT_EQ(without_secrets(R"(password = 'ge \' heim' user=anna)"), "password =(left out) user=anna");
    EXPECT_THAT(without_secrets("postgresql://db/orders?user=anna&password=geheim"),
                Not(HasSubstr("geheim")));
    EXPECT_EQ(without_secrets("PGPASSWORD=geheim"), "PGPASSWORD=(left out)");
    EXPECT_EQ(without_secrets("password='never ends"), "password=(left out)");
}

TEST(SecretText, LosesWhatIsNamedLikeASecretHoweverItIsWritten) {
    for (const std::string name : {"password",    "sslpassword",    "PGPASSWORD",  "passwd",
                                   "passphrase",  "passcode",       "pwd",         "client_secret",
                                   "token",       "session-token",  "credential",  "credentials",
                                   "private_key", "access_key",     "accessKey",   "aws_secret_access_key",
                                   "secret_key",  "secretKey",      "api_key",     "apikey",
                                   "X-Api-Key",   "AccountKey",     "routing_key", "Authorization",
                                   "sig",         "X-Amz-Signature"}) {
        const std::string text =
            name + "=geheim\n" + name + ": geheim\n\"" + name + "\": \"geheim\"\n--" + name + " geheim";
        EXPECT_THAT(without_secrets(text), Not(HasSubstr("geheim"))) << text;
        EXPECT_EQ(json_without_secrets("{\"" + name + R"(": {"a": ["geheim"]}})"),
                  "{\"" + name + R"_(":"(left out)"})_");
    }
    EXPECT_EQ(without_secrets("PUT https://a.blob.core.windows.net/c/b?sv=1&sig=ab%2Bc= failed"),
              "PUT https://a.blob.core.windows.net/c/b?sv=1&sig=(left out) failed");
    EXPECT_EQ(without_secrets("curl -H 'Authorization: Basic YTpi' x\nand more"),
              "curl -H 'Authorization:(left out)\nand more");
    EXPECT_EQ(without_secrets("it said bearer  abc.def to me"), "it said bearer (left out) to me");
    EXPECT_EQ(without_secrets("run --user anna --password 'ge heim' --port 1"),
              "run --user anna --password (left out) --port 1");
}

TEST(SecretText, LosesSecretsOfSeveralWords) {
    EXPECT_EQ(without_secrets("passphrase: correct horse battery staple\nand more"),
              "passphrase:(left out)\nand more");
    EXPECT_EQ(without_secrets("db_password: correct horse"), "db_password:(left out)");
    EXPECT_EQ(without_secrets(R"(password: "correct horse" of anna)"), "password:(left out) of anna");
    EXPECT_EQ(without_secrets("password=correct of anna"), "password=(left out) of anna");
    // JSON in a text, and in a text of such a text; each with a quote and a backslash in its secret.
    EXPECT_EQ(without_secrets(R"(sent {\"password\": \"correct horse battery\", \"a\": \"b\"})"),
              R"_(sent {\"password\":(left out), \"a\": \"b\"})_");
    EXPECT_EQ(without_secrets(R"({\"token\":\"correct \\\" horse \\\\\", \"a\": \"b\"})"),
              R"_({\"token\":(left out), \"a\": \"b\"})_");
    EXPECT_EQ(without_secrets(R"({\\\"secret\\\": \\\"correct \\\\\\\" horse\\\", \\\"a\\\": 1})"),
              R"_({\\\"secret\\\":(left out), \\\"a\\\": 1})_");
    EXPECT_EQ(without_secrets(R"({"password": "correct \\", "a": "b"})"),
              R"_({"password":(left out), "a": "b"})_");
    EXPECT_EQ(without_secrets(R"({\"password\": \"never ends)"), R"_({\"password\":(left out))_");
}

// Errors go through more than one hand.
TEST(SecretText, ASecondTimeTakesNothingMore) {
    for (const char* text :
         {"password=x y", "https://token:x@host/a b", "Bearer x y", "api_key: x y", "--password x y",
          "Authorization: Bearer x", "password='a b' c", "passphrase: x y\nz w",
          R"({\"password\": \"a b\", \"c\": 1})", R"(say --password \"a b\" c)"}) {
        const std::string once = without_secrets(text);
        EXPECT_NE(once, text);
        EXPECT_EQ(without_secrets(once), once);
    }
}

TEST(SecretText, LeavesTheRestAsItIs) {
    for (const char* text : {"", "hf_", "hf_0123", "a=b c=d", "https://localhost:7420/v1/tokens", "=", "://",
                             "s3://bucket/prefix", "password", "password:", "--password", "Bearer",
                             "dedup_key=a", "idempotency_key: b", "design=1", "config: 2",
                             "password_file = /etc/x", "the 16/B374D848 of 2026-11-20T12:00:00Z"})
        EXPECT_EQ(without_secrets(text), text);
}

TEST(SecretText, OfJsonIsTakenOutWhereverItStands) {
    EXPECT_EQ(json_without_secrets(R"({"b":1,"tags":{"db_password":"x","dsn":"host=a password=y"},"a":[]})"),
              R"_({"b":1,"tags":{"db_password":"(left out)","dsn":"host=a password=(left out)"},"a":[]})_");
    EXPECT_EQ(json_without_secrets(R"({"token":{"value":["x"]},"second_factor_secret":true})"),
              R"_({"token":"(left out)","second_factor_secret":true})_");
    // What has none keeps its bytes, of which digests are made.
    const std::string spaced = R"({ "b" : 1.50, "a" : [ null ] })";
    EXPECT_EQ(json_without_secrets(spaced), spaced);
    EXPECT_EQ(json_without_secrets("password=x, no JSON"), "password=(left out) no JSON");
}

// Whatever it is, nobody's stack ends with it.
TEST(SecretText, OfJsonThatNestsWithoutEndIsTakenOutAsOfText) {
    constexpr std::size_t depth = 500'000;
    const std::string opened(depth, '['), closed(depth, ']');
    EXPECT_EQ(json_without_secrets(opened + closed), opened + closed);
    EXPECT_EQ(json_without_secrets(opened + R"("password=x y")" + closed),
              opened + R"_("password=(left out) y")_" + closed);
    // Brackets in a text, and one behind the other, are not deep.
    const std::string text = R"("\\" , "\")" + std::string(200, '{') + R"(", [])";
    EXPECT_EQ(json_without_secrets("[" + text + R"(, {"token": "x"}])"),
              R"(["\\","\")" + std::string(200, '{') + R"_(",[],{"token":"(left out)"}])_");
}

} // namespace
} // namespace holdfast
