// What the server answers beyond the API's own routes is in the contract too.
#include "api/openapi_text.h"
#include "server/alert_routes.h"
#include "server/backup_recovery_listings.h"
#include "server/checklist_routes.h"
#include "server/policy_routes.h"
#include "server/repository_routes.h"
#include "server/snapshot_routes.h"
#include "unit/api/api_fixture.h"

#include <regex>
#include <set>

#include <fmt/format.h>

namespace holdfast::test {
namespace {

class Contract : public ApiTest {
  protected:
    void SetUp() override {
        ApiTest::SetUp();
        add_repository_routes(server->router(), observer, desk);
        add_snapshot_routes(server->router(), {.observer = observer,
                                               .desk = desk,
                                               .fates = fates,
                                               .api = server->services(),
                                               .declared = [] { return std::vector<Policy>(); },
                                               .changed = [] {}});
        add_backup_listing_routes(server->router(), observer);
        watch =
            std::make_shared<Watch>(catalog, clock, random, silent_logger(), WatchSettings{.server = "test"});
        operations = std::make_unique<Operations>(catalog, clock, random);
        audit = std::make_unique<Audit>(catalog, clock);
        const PolicyServices policies{.book = book,
                                      .in_effect = in_effect,
                                      .observer = observer,
                                      .operations = *operations,
                                      .clock = clock,
                                      .settings = settings,
                                      .declared = [] { return std::vector<Policy>(); },
                                      .sources = [] { return std::vector<MeasuredSource>(); },
                                      .declare_again = [] { return ServerDeclaration(); },
                                      .changed = [] {}};
        add_policy_routes(server->router(), policies);
        add_schedule_routes(server->router(), policies);
        add_configuration_routes(server->router(), policies);
        add_alert_routes(
            server->router(),
            {.watch = [this] { return watch; }, .operations = *operations, .audit = *audit, .clock = clock});
        keeper =
            std::make_unique<ChecklistKeeper>(ChecklistServices{.book = checklists,
                                                                .catalog = catalog,
                                                                .operations = *operations,
                                                                .audit = *audit,
                                                                .clock = clock,
                                                                .logger = silent_logger(),
                                                                .watch = [this] { return watch; },
                                                                .view = [this] { return observer.view(); }});
        add_checklist_routes(server->router(), checklists, *keeper, clock);
    }

    std::shared_ptr<Watch> watch;
    std::unique_ptr<Operations> operations;
    std::unique_ptr<Audit> audit;
    ChecklistBook checklists{catalog, clock, [] { return default_checklists(); }};
    std::unique_ptr<ChecklistKeeper> keeper;
    const std::function<OpenRepository()> nowhere = []() -> OpenRepository {
        throw Error(ErrorCode::unavailable, "nowhere");
    };
    RepositoryObserver observer{nowhere, clock};
    const ServerSettings settings;
    PolicyBook book{catalog, nowhere};
    PoliciesInEffect in_effect{book, observer, scratch.path().string(), {}, clock, silent_logger()};
    RepositoryDesk desk{[]() -> OpenRepository { throw Error(ErrorCode::unavailable, "nowhere"); },
                        {.program = "/bin/false", .before = {}, .behind = {}},
                        clock};
    SnapshotFates fates;
};

TEST_F(Contract, HasEachRouteAndNoOther) {
    std::set<std::string> routes, written;
    for (const api::Route* route : server->router().routes()) routes.insert(route->name);
    const std::string text(api::openapi_text());
    const std::regex name("operationId: (\\w+)");
    for (auto match = std::sregex_iterator(text.begin(), text.end(), name); match != std::sregex_iterator();
         ++match)
        written.insert((*match)[1]);
    EXPECT_EQ(routes, written);
}

TEST_F(Contract, BeforeTheRepositoryWasLookedAtItSaysSo) {
    const api::Response response = ask("GET", "/v1/snapshots");
    EXPECT_EQ(response.status, 503) << response.body;
    // Policies are not changed where the repository cannot be told.
    EXPECT_EQ(ask("GET", "/v1/policies").status, 200);
    EXPECT_EQ(ask("POST", "/v1/policies", R"({"name":"p","sources":["*"]})").status, 503);
}

} // namespace
} // namespace holdfast::test
