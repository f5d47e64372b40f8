#include "base/error.h"
#include "execution/operation_request.h"
#include "support/error_matchers.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

namespace holdfast {
namespace {

using testing::ElementsAre;

const OperationWorld world{
    .sources = {{"orders", "postgresql"}, {"uploads", "documents"}, {"-x", "documents"}},
    .restore_directory = "/srv/restores",
    .rules = {"backup_failed", "no_backup"}};

std::vector<std::string> words(std::string_view kind, const std::optional<std::string>& source,
                               std::string_view request) {
    return operation_command(kind, source, request, world).arguments;
}

void expect_refused(std::string_view kind, const std::optional<std::string>& source, std::string_view request,
                    const std::string& field) {
    try {
        operation_command(kind, source, request, world);
        ADD_FAILURE() << kind << " " << request << " was taken";
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::usage) << error.message();
        EXPECT_EQ(error.field(), field) << error.message();
    }
}

TEST(OperationCommand, OfABackup) {
    EXPECT_THAT(words("backup", "uploads", "{}"), ElementsAre("backup", "uploads"));
    const OperationCommand command = operation_command(
        "backup", "orders",
        R"({"type":"full","compare":true,"name":"--config=/etc/shadow","tags":{"why":"a=b"},)"
        R"("class":"manual","keep_for":"7d","time_limit_seconds":1800})",
        world);
    EXPECT_THAT(command.arguments,
                ElementsAre("backup", "orders", "--type=full", "--compare", "--name=--config=/etc/shadow",
                            "--tag=why=a=b", "--class=manual", "--keep-for=7d", "--wait-limit=1800s"));
    EXPECT_EQ(command.time_limit, std::chrono::seconds(1800));
}

TEST(OperationCommand, OfABackupRefusesWhatWouldBeWithoutEffect) {
    expect_refused("backup", std::nullopt, "{}", "source");
    expect_refused("backup", "nothing", "{}", "source");
    expect_refused("backup", "-x", "{}", "source");
    expect_refused("backup", "uploads", R"({"type":"full"})", "type");
    expect_refused("backup", "orders", R"({"type":"half"})", "type");
    expect_refused("backup", "orders", R"({"paths":["/etc"]})", "paths");
    expect_refused("backup", "orders", R"({"tags":{"a=b":"c"}})", "tags");
    // A misspelt class would lose what it is to protect.
    expect_refused("backup", "orders", R"({"class":"forensics"})", "class");
    expect_refused("backup", "orders", R"({"tags":{"class":"forensics"}})", "tags");
    expect_refused("backup", "orders", R"({"tags":{"expires":"soon"}})", "tags");
    expect_refused("backup", "orders", R"({"keep_for":"bogus"})", "keep_for");
    expect_refused("backup", "orders", R"({"time_limit_seconds":0})", "time_limit_seconds");
    test::expect_error(
        ErrorCode::usage, [] { words("backup", "uploads", R"({"tags":{"a":"b\u0000c"}})"); }, "zero byte");
}

TEST(OperationCommand, OfABackupTakesTheClassesOfPolicies) {
    OperationWorld with_audits = world;
    with_audits.classes.insert("audits");
    EXPECT_THAT(operation_command("backup", "uploads", R"({"class":"audits"})", with_audits).arguments,
                ElementsAre("backup", "uploads", "--class=audits"));
}

TEST(OperationCommand, OfAVerification) {
    EXPECT_THAT(words("verify", std::nullopt, "{}"), ElementsAre("verify", "--record"));
    EXPECT_THAT(words("verify", "orders", R"({"depth":"5%"})"),
                ElementsAre("verify", "--source=orders", "--sample=5%", "--record"));
    EXPECT_THAT(words("verify", std::nullopt, R"({"depth":"all","snapshots":["0a1b"]})"),
                ElementsAre("verify", "0a1b", "--read-data", "--record"));
    EXPECT_THAT(words("verify", std::nullopt, R"({"depth":"0.5%"})"),
                ElementsAre("verify", "--sample=0.5%", "--record"));
    for (const char* depth : {"deep", "%", "0%", "101%", "x%", "-1%", "nan%"})
        expect_refused("verify", std::nullopt, fmt::format(R"({{"depth":"{}"}})", depth), "depth");
    expect_refused("verify", std::nullopt, R"({"snapshots":["--help"]})", "snapshots");
    expect_refused("verify", "orders", R"({"snapshots":["0a1b"]})", "snapshots");
}

TEST(OperationCommand, OfARestore) {
    EXPECT_THAT(
        words(
            "restore", "orders",
            R"({"directory":"orders-2","at":"2026-01-01T00:00:00Z","exclusive":true,"start":true,"port":5444})"),
        ElementsAre("restore", "orders", "--at=2026-01-01T00:00:00Z", "--exclusive", "--start", "--port=5444",
                    "--to=/srv/restores/orders-2"));
    EXPECT_THAT(words("restore", "uploads", R"({"directory":"u","snapshot":"0a1b2c","paths":["/srv/-a"]})"),
                ElementsAre("restore", "0a1b2c", "--path=/srv/-a", "--to=/srv/restores/u"));
    EXPECT_THAT(words("restore", "uploads", R"({"directory":"u"})"),
                ElementsAre("restore", "uploads", "--to=/srv/restores/u"));
    expect_refused("restore", "orders", "{}", "directory");
    for (const char* directory : {"..", ".hidden", "a/b", "-x", "/etc"})
        expect_refused("restore", "orders", fmt::format(R"({{"directory":"{}"}})", directory), "directory");
    expect_refused("restore", "orders", R"({"directory":"a\u0000b"})", "directory");
    expect_refused("restore", "uploads", R"({"directory":"u","lsn":"0/1"})", "lsn");
    expect_refused("restore", "orders", R"({"directory":"u","paths":["/"]})", "paths");
    expect_refused("restore", "orders", R"({"directory":"u","snapshot":"latest"})", "snapshot");
    test::expect_error(
        ErrorCode::incompatible,
        [] { operation_command("restore", "orders", R"({"directory":"u"})", {.sources = world.sources}); },
        "restores nothing");
}

// What would fail when its turn comes, and have somebody called, is refused at once.
TEST(OperationCommand, OfARestoreRefusesWhatIsNoTarget) {
    const auto refused = [](std::string_view members, const std::string& field) {
        expect_refused("restore", "orders", fmt::format(R"({{"directory":"u",{}}})", members), field);
    };
    refused(R"("at":"yesterday")", "at");
    refused(R"("lsn":"12345")", "lsn");
    for (const char* xid : {"0", "-1", "7x", "99999999999999999999"})
        refused(fmt::format(R"("xid":"{}")", xid), "xid");
    refused(R"("lsn":"0/1","at":"2026-01-01T00:00:00Z")", "lsn");
    refused(R"("exclusive":true)", "exclusive");
    refused(R"("exclusive":true,"restore_point":"before")", "exclusive");
    refused(R"("port":5444)", "port");
    EXPECT_THAT(words("restore", "orders", R"({"directory":"u","xid":"4711","exclusive":true})"),
                ElementsAre("restore", "orders", "--xid=4711", "--exclusive", "--to=/srv/restores/u"));
    EXPECT_THAT(words("restore", "orders", R"({"directory":"u","lsn":"16/B374D848"})"),
                ElementsAre("restore", "orders", "--lsn=16/B374D848", "--to=/srv/restores/u"));
}

TEST(OperationCommand, OfWhatIsAboutTheRepository) {
    EXPECT_THAT(words("retention", std::nullopt, R"({"dry_run":true})"),
                ElementsAre("retention", "enforce", "--dry-run"));
    EXPECT_THAT(words("retention", "orders", R"({"trust_clock":true})"),
                ElementsAre("retention", "enforce", "orders", "--trust-clock"));
    // While the file keeps less than what was applied, nothing is forgotten, and one may look.
    OperationWorld waiting = world;
    waiting.retention_waits = "it was changed";
    const auto waits = test::error_of([&] { operation_command("retention", std::nullopt, "{}", waiting); });
    EXPECT_EQ(waits->code(), ErrorCode::fenced);
    EXPECT_THAT(waits->message(), testing::HasSubstr("it was changed"));
    operation_command("retention", std::nullopt, R"({"dry_run":true})", waiting);
    EXPECT_THAT(words("prune", std::nullopt, "{}"), ElementsAre("prune"));
    EXPECT_THAT(operation_command("prune", std::nullopt, "{}", waiting).arguments,
                ElementsAre("prune", "--keep-log"));
    expect_refused("prune", "orders", "{}", "source");
    expect_refused("sweep", std::nullopt, "{}", "kind");
}

TEST(OperationCommand, OfADeletionTakesAWholeId) {
    const std::string id(32, 'a');
    EXPECT_THAT(words("forget", std::nullopt, fmt::format(R"({{"snapshot":"{}"}})", id)),
                ElementsAre("forget", id));
    EXPECT_THAT(words("forget", std::nullopt, fmt::format(R"({{"snapshot":"{}","even_the_last":true}})", id)),
                ElementsAre("forget", id, "--even-the-last"));
    expect_refused("forget", std::nullopt, "{}", "snapshot");
    expect_refused("forget", std::nullopt, R"({"snapshot":"aaaa"})", "snapshot");
    expect_refused("forget", std::nullopt, R"({"snapshot":"--even-the-last"})", "snapshot");
    expect_refused("forget", "orders", fmt::format(R"({{"snapshot":"{}"}})", id), "source");
}

TEST(OperationCommand, OfTryingRulesOfAlerts) {
    EXPECT_THAT(words("alert-test", std::nullopt, R"({"rules":["no_backup","backup_failed"]})"),
                ElementsAre("alerts", "test", "no_backup", "backup_failed"));
    EXPECT_THAT(words("alert-test", std::nullopt, R"({"all":true,"channels":false})"),
                ElementsAre("alerts", "test", "--all", "--no-channels"));
    // Nobody is told by mistake.
    expect_refused("alert-test", std::nullopt, "{}", "rules");
    expect_refused("alert-test", std::nullopt, R"({"rules":[]})", "rules");
    expect_refused("alert-test", std::nullopt, R"({"rules":["no_backup"],"all":true})", "rules");
    expect_refused("alert-test", std::nullopt, R"({"rules":["--directory=/etc"]})", "rules");
    expect_refused("alert-test", "orders", R"({"all":true})", "source");
}

} // namespace
} // namespace holdfast
