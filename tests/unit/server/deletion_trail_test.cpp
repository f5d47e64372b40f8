// Each deletion has its entry in the audit trail, whoever made it.
#include "server/deletion_trail.h"
#include "support/document_repository.h"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

namespace holdfast::test {
namespace {

using Json = nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

class Trail : public testing::Test {
  protected:
    Snapshot deleted(std::uint64_t seed) {
        documents.write_file("a", 10'000, seed);
        const Snapshot snapshot = documents.back_up();
        documents.write_file("a", 10'000, seed + 1'000);
        documents.back_up();
        forget_snapshot(documents.repository->context(), snapshot.id, false);
        return snapshot;
    }
    std::vector<AuditEntry> entries() {
        std::vector<AuditEntry> all;
        audit.read(1, [&](const AuditEntry& entry) {
            all.push_back(entry);
            return true;
        });
        return all;
    }

    DocumentRepository documents;
    Catalog catalog{"sqlite:" + documents.scratch.file("catalog.db"), silent_logger()};
    Audit audit{catalog, system_clock()};
    DeletionTrail trail{audit, silent_logger()};
};

TEST_F(Trail, EntersWhatTheRepositoryHasOnce) {
    const Snapshot first = deleted(1), second = deleted(2);
    EXPECT_EQ(trail.catch_up(*documents.repository, {}), 2U);
    EXPECT_EQ(trail.catch_up(*documents.repository, {}), 0U);
    EXPECT_EQ(DeletionTrail(audit, silent_logger()).catch_up(*documents.repository, {}), 0U);
    std::set<std::string> objects;
    for (const AuditEntry& entry : entries()) {
        EXPECT_EQ(entry.action, forget_action);
        EXPECT_THAT(entry.actor, HasSubstr("key "));
        EXPECT_EQ(Json::parse(entry.details)["source"], "documents");
        objects.insert(entry.object);
    }
    EXPECT_EQ(objects, (std::set{first.id.hex(), second.id.hex()}));
}

TEST_F(Trail, AStopEndsItAndTheNextGoesOn) {
    deleted(1);
    std::stop_source stop;
    stop.request_stop();
    EXPECT_THROW(trail.catch_up(*documents.repository, stop.get_token()), Error);
    EXPECT_EQ(trail.catch_up(*documents.repository, {}), 1U);
}

// The reasons of an operation are told even if somebody was quicker to see what it did.
TEST_F(Trail, AnOperationSaysWhyInAnyCase) {
    const Snapshot gone = deleted(1);
    trail.catch_up(*documents.repository, {});
    Operation operation;
    operation.id = "0a";
    operation.kind = "retention";
    operation.requested_by = "anna";
    const ExecutionOutcome outcome{
        .result = Json{{"sources",
                        {{{"source", "documents"},
                          {"snapshots",
                           {{{"id", gone.id.hex()}, {"forgotten", true}, {"reasons", {"too old"}}},
                            {{"id", "ff"}, {"forgotten", false}, {"reasons", {"the newest"}}}}}}}}}
                      .dump()};
    const auto enter = [&](const ExecutionOutcome& one) {
        std::size_t count = 0;
        catalog.transaction([&](Database& database) {
            count = enter_deletions_of(database, audit, operation, one, nullptr, silent_logger());
        });
        return count;
    };
    EXPECT_EQ(enter(outcome), 1U);
    const auto all = entries();
    ASSERT_EQ(all.size(), 2U);
    EXPECT_EQ(all[1].actor, "anna");
    EXPECT_EQ(all[1].object, gone.id.hex());
    EXPECT_EQ(Json::parse(all[1].details),
              (Json{{"source", "documents"}, {"reasons", {"too old"}}, {"operation", "0a"}}));
    // A deletion by hand of what was gone is the deed of who was quicker; if that was its own first attempt,
    // it has its entry once.
    operation.kind = "forget";
    const std::string late = Json{{"forgotten", {"ab"}}, {"forgotten_before", {"ab"}}}.dump();
    EXPECT_EQ(enter({.result = late}), 0U);
    operation.attempts = 2;
    EXPECT_EQ(enter({.result = late}), 1U);
    EXPECT_EQ(enter({.result = late}), 0U);
    EXPECT_EQ(entries().back().object, "ab");
    operation.kind = "retention";
    EXPECT_EQ(enter({.result = R"({"sources": 7})"}), 0U);
    EXPECT_EQ(enter({.result = R"({"sources": [{"snapshots": [{"forgotten": "yes"}]}]})"}), 0U);
    EXPECT_EQ(entries().size(), 3U);
}

} // namespace
} // namespace holdfast::test
