// Who restored what to where can be told from the audit trail alone.
#include "server/operation_trail.h"
#include "support/scratch_directory.h"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

namespace holdfast::test {
namespace {

using Json = nlohmann::json;
using testing::HasSubstr;
using testing::Not;

class OperationTrail : public testing::Test {
  protected:
    void carry_out(const OperationRequest& request, OperationState state,
                   const std::optional<std::string>& result, const std::optional<std::string>& error) {
        id = operations.add(request).value();
        const auto claimed = operations.claim("server-1", std::chrono::minutes(1), {});
        ASSERT_TRUE(claimed);
        ASSERT_TRUE(operations.finish(*claimed, state, result, error));
    }
    std::vector<AuditEntry> entries() {
        std::vector<AuditEntry> all;
        audit.read(1, [&](const AuditEntry& entry) {
            all.push_back(entry);
            return true;
        });
        return all;
    }

    ScratchDirectory scratch;
    Catalog catalog{"sqlite:" + scratch.file("catalog.db"), silent_logger()};
    FakeClock clock{from_rfc3339("2026-11-20T12:00:00Z")};
    SeededRandom random{1};
    Audit audit{catalog, clock};
    Operations operations{catalog, clock, random, operations_in_trail(audit, "/srv/restored")};
    std::string id;
};

TEST_F(OperationTrail, SaysWhoRestoredWhatToWhere) {
    carry_out({.kind = "restore",
               .source = "orders",
               .request = R"({"at":"2026-11-20T11:00:00Z","directory":"check","start":true})",
               .requested_by = "rita"},
              OperationState::succeeded,
              R"({"snapshot":"ab12","target":"2026-11-20T11:00:00Z","notes":["long"],"bytes":12})",
              std::nullopt);
    const auto all = entries();
    ASSERT_EQ(all.size(), 2U);
    Json expected = {
        {"kind", "restore"},
        {"source", "orders"},
        {"request", Json::parse(R"({"at":"2026-11-20T11:00:00Z","directory":"check","start":true})")},
        {"plan", nullptr},
        {"attempt", 1},
        {"restored_to", "/srv/restored/check"},
        {"server", "server-1"}};
    EXPECT_EQ(all[0].action, "operation.begin");
    EXPECT_EQ(all[0].actor, "rita");
    EXPECT_EQ(all[0].object, id);
    EXPECT_EQ(Json::parse(all[0].details), expected);
    expected.erase("server");
    expected["state"] = "succeeded";
    expected["result"] = Json::parse(R"({"snapshot":"ab12","target":"2026-11-20T11:00:00Z","bytes":12})");
    expected["error"] = nullptr;
    EXPECT_EQ(all[1].action, "operation.end");
    EXPECT_EQ(all[1].actor, "rita");
    EXPECT_EQ(Json::parse(all[1].details), expected);
    EXPECT_TRUE(audit.verify().problems.empty());
}

TEST_F(OperationTrail, HasNoSecretAndNothingThatStopsIt) {
    const std::string token = "hf_" + std::string(64, 'a');
    carry_out(
        {.kind = "backup",
         .source = "orders",
         .request = Json{{"tags", {{"dsn", "postgresql://anna:geheim@db/orders"}, {"api_token", "geheim"}}},
                         {"name", "with " + token}}
                        .dump(),
         .requested_by = "anna"},
        OperationState::failed, std::nullopt,
        R"({"code":"access_denied","message":"host=db password='geheim' was refused","hint":"geheim"})");
    carry_out(
        {.kind = "restore", .source = "orders", .request = R"({"directory":7})", .requested_by = "anna"},
        OperationState::failed, "no JSON", "nor this");
    ASSERT_EQ(entries().size(), 4U);
    for (const AuditEntry& entry : entries()) {
        EXPECT_THAT(entry.details, Not(HasSubstr("geheim")));
        EXPECT_THAT(entry.details, Not(HasSubstr(token)));
    }
    const Json end = Json::parse(entries()[1].details);
    EXPECT_EQ(end["error"]["code"], "access_denied");
    EXPECT_EQ(end["request"]["tags"]["dsn"], "postgresql://anna:(left out)@db/orders");
    EXPECT_TRUE(audit.verify().problems.empty());
}

} // namespace
} // namespace holdfast::test
