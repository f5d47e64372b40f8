// holdfast.toml.

#include "cli/configuration.h"
#include "support/error_matchers.h"

#include <gmock/gmock.h>

namespace holdfast {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Configuration parsed(const std::string& text) { return parse_configuration(text, "holdfast.toml"); }

std::string refusal(const std::string& text) {
    try {
        parsed(text);
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::usage);
        return error.message();
    }
    return "";
}

TEST(ConfigurationTest, ReadsHowToLock) {
    const Configuration set = parsed("[backup]\nlock_days = 30\nlock_mode = \"compliance\"\n");
    EXPECT_EQ(set.backup.lock_days, 30U);
    EXPECT_EQ(set.backup.lock_mode, "compliance");
    EXPECT_EQ(parsed("[backup]\nlock_mode = \"governance\"\n").backup.lock_mode, "governance");
    EXPECT_EQ(parsed("[backup]\nlock_days = 30\n").backup.lock_mode, "") << "governance";
}

TEST(ConfigurationTest, NamesTheLineOfAModeThatIsNone) {
    EXPECT_THAT(
        refusal("[backup]\nlock_days = 30\nlock_mode = \"COMPLIANCE\"\n"),
        AllOf(HasSubstr("line 3"), HasSubstr("backup.lock_mode"), HasSubstr("governance, compliance")));
    EXPECT_THAT(refusal("[backup]\nlock_mode = true\n"), HasSubstr("line 2"));
    EXPECT_THAT(refusal("lock_mode = \"governance\"\n"), HasSubstr("lock_mode"));
}

TEST(ConfigurationTest, ReadsWhichTlsAStoreMaySpeak) {
    EXPECT_EQ(parsed("[s3]\nmin_tls = \"1.2\"\n").s3.min_tls, "1.2");
    EXPECT_EQ(parsed("").s3.min_tls, "");
    EXPECT_THAT(refusal("[s3]\nmin_tls = \"1.1\"\n"), AllOf(HasSubstr("line 2"), HasSubstr("s3.min_tls")));
}

TEST(ConfigurationTest, ReadsKeysOfSingleRepositories) {
    const Configuration set = parsed("key_file = \"/k\"\n[keys.\"s3://b/p\"]\nprivate_key = \"/p\"\n"
                                     "[keys.\"/mnt/disk\"]\npassphrase_file = \"/f\"\n");
    EXPECT_EQ(set.keys.key_file, "/k");
    EXPECT_EQ(set.keys_of.at("s3://b/p").private_key, "/p");
    EXPECT_EQ(set.keys_of.at("s3://b/p").key_file, "");
    EXPECT_EQ(set.keys_of.at("/mnt/disk").passphrase_file, "/f");
    EXPECT_THAT(refusal("[keys.\"/mnt/disk\"]\nkey = \"/k\"\n"),
                AllOf(HasSubstr("line 2"), HasSubstr("keys./mnt/disk.key")));
    EXPECT_THAT(refusal("[keys.disk]\nkey_file = \"/k\"\n"), HasSubstr("keys.disk"));
}

TEST(ConfigurationTest, ReadsSourcesByTheirKind) {
    const Configuration set = parsed("[source.orders]\nkind = \"postgresql\"\nslot = \"s\"\n"
                                     "[source.uploads]\nkind = \"documents\"\npaths = [\"/srv\"]\n"
                                     "exclude = [\"*.tmp\"]\none_file_system = true\ntags = {a = \"b\"}\n");
    EXPECT_EQ(set.sources.at("orders").slot, "s");
    const SourceConfiguration& uploads = set.sources.at("uploads");
    EXPECT_THAT(uploads.documents.paths, ElementsAre("/srv"));
    EXPECT_THAT(uploads.documents.exclude, ElementsAre("*.tmp"));
    EXPECT_TRUE(uploads.documents.one_file_system);
    EXPECT_EQ(uploads.tags.at("a"), "b");
}

TEST(ConfigurationTest, RefusesWhatIsForAnotherKindOfSource) {
    EXPECT_THAT(refusal("[source.u]\nkind = \"documents\"\npaths = [\"/srv\"]\nslot = \"s\"\n"),
                AllOf(HasSubstr("line 4"), HasSubstr("source.u.slot")));
    EXPECT_THAT(refusal("[source.o]\nkind = \"postgresql\"\npaths = [\"/srv\"]\n"),
                HasSubstr("source.o.paths"));
    EXPECT_THAT(refusal("[source.u]\nkind = \"documents\"\n"), HasSubstr("no paths"));
    EXPECT_THAT(refusal("[source.u]\npaths = [\"/srv\"]\n"), HasSubstr("has no kind"));
}

TEST(ConfigurationTest, ChecksTheServersSettings) {
    EXPECT_EQ(parsed("").server_json, "{}");
    EXPECT_THAT(parsed("[server]\nat_once = 3\n").server_json, HasSubstr("at_once"));
    EXPECT_THAT(refusal("[server]\nat_once = 0\n"), AllOf(HasSubstr("line 1"), HasSubstr("server.at_once")));
    EXPECT_THAT(refusal("[server]\ncatalog = \"mysql://x\"\n"), HasSubstr("server.catalog"));
    EXPECT_THAT(refusal("[server]\nretention = \"daily\"\n"), HasSubstr("server.retention"));
    EXPECT_THAT(refusal("[server]\nport = 1\n"), HasSubstr("server.port"));
    EXPECT_THAT(refusal("[server]\nstate_directory = \"here\"\n"), HasSubstr("server.state_directory"));
}

} // namespace
} // namespace holdfast
