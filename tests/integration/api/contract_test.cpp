#include "support/run_program.h"
#include "support/tls_client.h"
#include "unit/api/api_fixture.h"

#include <fstream>
#include <thread>

#include <gmock/gmock.h>

namespace holdfast::api {
namespace {

using testing::HasSubstr;

// The whole API behind a socket.
class Served : public test::ApiTest {
  protected:
    void serve(std::map<std::string, Protection> protection = {}) {
        ApiSettings settings{.state_directory = scratch.file("state"), .protection = std::move(protection)};
        settings.http.listen = "127.0.0.1:0";
        settings.http.limits.event_interval = std::chrono::milliseconds(10);
        settings.feed_interval = std::chrono::milliseconds(10);
        settings.access.per_token = {.per_second = 1e6, .burst = 1e6};
        served = std::make_unique<ApiServer>(
            std::move(settings),
            ApiParts{.catalog = catalog,
                     .clock = system_clock(),
                     .random = system_random(),
                     .logger = silent_logger(),
                     .prepare = [this](const OperationAsked& what) { return prepared(what); }});
        served->start();
    }

    std::unique_ptr<ApiServer> served;
};

TEST_F(Served, KeepsItsContract) {
    serve();
    Operations operations(catalog, system_clock(), system_random());
    OperationRequest request;
    request.kind = "backup";
    request.source = "db";
    operations.add(request);
    const auto claimed = operations.claim("server", std::chrono::hours(1), {});
    operations.renew(
        *claimed, std::chrono::hours(1),
        {.phase = "copy", .done_bytes = 5, .total_bytes = 10, .done_items = 1, .total_items = 2});
    operations.log(claimed->id, "info", "begun");
    {
        std::ofstream routes(scratch.file("routes"));
        for (const Route* route : served->router().routes())
            routes << route->method << " " << route->path << " " << route->name << "\n";
    }
    const auto run =
        test::run_program({"/usr/bin/python3", HOLDFAST_CONTRACT_SCRIPT, std::to_string(served->port()),
                           first.secret, "7", "part", scratch.file("routes")},
                          {});
    EXPECT_EQ(run.exit_code, 0) << run.out << run.error;
}

TEST_F(Served, StreamsWhatHappens) {
    serve();
    test::TlsClient client(served->port());
    client.send("GET /v1/operations/events HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer " + first.secret +
                "\r\n\r\n");
    EXPECT_THAT(client.receive_until("event: snapshot\ndata: []\n\n"), HasSubstr("text/event-stream"));
    Operations operations(catalog, system_clock(), system_random());
    OperationRequest request;
    request.kind = "verify";
    const std::string id = *operations.add(request);
    EXPECT_THAT(client.receive_until(id), HasSubstr("event: operation\n"));
}

TEST_F(Served, AStreamEndsWithItsTokenAlsoWhenAnotherServerRevokesIt) {
    serve();
    const std::string anna = token("anna", "viewer");
    test::TlsClient client(served->port());
    client.send("GET /v1/operations/events HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer " + anna +
                "\r\n\r\n");
    EXPECT_THAT(client.receive_until("event: snapshot\ndata: []\n\n"), HasSubstr("text/event-stream"));
    const std::string id = served->tokens().find_by_secret(anna).value().id;
    ASSERT_EQ(ask("DELETE", "/v1/tokens/" + id).status, 204);
    client.receive_until("what is never sent");
    EXPECT_TRUE(client.is_closed());
}

TEST_F(Served, LetsNobodyInWithoutAToken) {
    serve();
    test::TlsClient client(served->port());
    EXPECT_EQ(client.get("/healthz").status, 200);
    EXPECT_EQ(client.get("/v1/operations").status, 401);
    EXPECT_EQ(client.get("/v1/operations", first.secret).status, 200);
    EXPECT_EQ(client.get("/v1/operations", "hf_" + std::string(64, '0')).status, 401);
    EXPECT_EQ(client.fingerprint(), served->fingerprint());
}

} // namespace
} // namespace holdfast::api
