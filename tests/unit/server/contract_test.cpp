// What the server answers beyond the API's own routes is in the contract too.
#include "api/openapi_text.h"
#include "server/alert_routes.h"
#include "server/backup_recovery_listings.h"
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
        add_snapshot_routes(
            server->router(),
            {.observer = observer, .desk = desk, .fates = fates, .api = server->services(), .changed = [] {
             }});
        add_backup_listing_routes(server->router(), observer);
        watch =
            std::make_unique<Watch>(catalog, clock, random, silent_logger(), WatchSettings{.server = "test"});
        operations = std::make_unique<Operations>(catalog, clock, random);
        audit = std::make_unique<Audit>(catalog, clock);
        add_alert_routes(server->router(),
                         {.watch = *watch, .operations = *operations, .audit = *audit, .channels = channels});
    }

    std::unique_ptr<Watch> watch;
    std::unique_ptr<Operations> operations;
    std::unique_ptr<Audit> audit;
    const std::vector<ChannelSettings> channels;
    RepositoryObserver observer{[]() -> OpenRepository { throw Error(ErrorCode::unavailable, "nowhere"); },
                                clock};
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
}

} // namespace
} // namespace holdfast::test
