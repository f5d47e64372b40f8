// What the server answers beyond the API's own routes is in the contract too.
#include "api/openapi_text.h"
#include "server/repository_routes.h"
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
        add_repository_routes(server->router(), observer);
        add_backup_listing_routes(server->router(), observer);
    }

    RepositoryObserver observer{[]() -> OpenRepository { throw Error(ErrorCode::unavailable, "nowhere"); },
                                clock};
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
