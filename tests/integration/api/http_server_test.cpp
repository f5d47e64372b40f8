#include "api/http/http_server.h"
#include "api/problem.h"
#include "support/error_matchers.h"
#include "support/scratch_directory.h"
#include "support/tls_client.h"

#include <cstring>
#include <filesystem>
#include <latch>
#include <thread>

#include <gmock/gmock.h>
#include <sys/socket.h>

namespace holdfast::api {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using test::TlsClient;
using testing::HasSubstr;
using testing::StartsWith;

constexpr auto get = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";

// Says what it was asked for.
Response echo(const Request& request) {
    return {.content_type = "text/plain", .body = request.method + " " + request.path + " " + request.body};
}
Response refusal(int status, const std::string& reason) {
    return problem_response(problem_of(status, reason), {}, {});
}

class Http : public testing::Test {
  protected:
    void start(HttpServer::Answer answer = echo, HttpServerSettings settings = {}) {
        settings.listen = "127.0.0.1:0";
        identity = own_tls_identity(scratch.file("state"), {}, system_clock());
        server = std::make_unique<HttpServer>(settings, identity, std::move(answer), refusal, system_clock(),
                                              silent_logger());
        port = server->port();
    }
    // A test that fails leaves no handler waiting.
    void TearDown() override { open_gate(); }
    void open_gate() {
        if (!gate.try_wait()) gate.count_down();
    }
    // Waits until `done`, a minute at most.
    static bool eventually(const std::function<bool()>& done) {
        for (int i = 0; i < 6000; ++i) {
            if (done()) return true;
            std::this_thread::sleep_for(milliseconds(10));
        }
        return false;
    }

    test::ScratchDirectory scratch;
    TlsIdentity identity;
    std::latch gate{1}; // what slow handlers wait for
    std::unique_ptr<HttpServer> server;
    std::uint16_t port = 0;
};

TEST_F(Http, AnswersOneAfterTheOther) {
    start();
    TlsClient client(port);
    for (int i = 0; i < 3; ++i) {
        ASSERT_TRUE(client.send("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi"));
        const auto answer = client.receive();
        ASSERT_TRUE(answer);
        EXPECT_EQ(answer->status, 200);
        EXPECT_EQ(answer->body, "POST /a hi");
    }
    // Several at once are answered in their order.
    std::string many;
    for (int i = 0; i < 50; ++i) many += "GET /" + std::to_string(i) + " HTTP/1.1\r\nHost: h\r\n\r\n";
    ASSERT_TRUE(client.send(many));
    for (int i = 0; i < 50; ++i) EXPECT_EQ(client.receive()->body, "GET /" + std::to_string(i) + " ");
    ASSERT_TRUE(client.send("HEAD /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"));
    const auto head = client.receive(true);
    EXPECT_THAT(head->head, HasSubstr("Content-Length: 8\r\n"));
    EXPECT_THAT(head->head, HasSubstr("Connection: close\r\n"));
    EXPECT_TRUE(client.is_closed());
    EXPECT_EQ(server->counts().requests, 54);
}

TEST_F(Http, WhatTakesLongHoldsUpNothingElse) {
    HttpServerSettings settings;
    settings.io_threads = 1; // so that what was counted has been handed on, too
    settings.takes_long = [](const Request& request) { return request.path == "/slow"; };
    settings.handler_threads = 1;
    settings.slow_threads = 2;
    settings.most_waiting_slow_requests = 1;
    start(
        [&](const Request& request) {
            if (request.path == "/slow") gate.wait();
            return echo(request);
        },
        settings);
    const std::string slow = "GET /slow HTTP/1.1\r\nHost: h\r\n\r\n";
    TlsClient first(port), second(port), third(port), fourth(port);
    first.send(slow);
    second.send(slow);
    third.send(slow); // one of the three waits for its turn
    ASSERT_TRUE(eventually([&] { return server->counts().requests == 3; }));
    // One too many is told so, and what is quick is quick.
    EXPECT_EQ(fourth.get("/slow").status, 503);
    for (int i = 0; i < 20; ++i) EXPECT_EQ(fourth.get("/quick").status, 200);
    open_gate();
    for (TlsClient* const client : {&first, &second, &third}) EXPECT_EQ(client->receive()->status, 200);
}

TEST_F(Http, WhatWaitsForNothingIsAnsweredWhileAllHandlersHang) {
    HttpServerSettings settings;
    settings.io_threads = 1;
    settings.waits_for_nothing = [](const Request& request) { return request.path == "/alive"; };
    settings.handler_threads = 1;
    settings.most_waiting_requests = 1;
    start(
        [&](const Request& request) {
            if (request.path != "/alive") gate.wait();
            return echo(request);
        },
        settings);
    TlsClient hanging(port), waiting(port), client(port);
    hanging.send(get);
    waiting.send(get);
    ASSERT_TRUE(eventually([&] { return server->counts().requests == 2; }));
    std::string many;
    for (int i = 0; i < 50; ++i) many += "GET /alive HTTP/1.1\r\nHost: h\r\n\r\n";
    client.send(many);
    for (int i = 0; i < 50; ++i) EXPECT_EQ(client.receive()->status, 200);
    EXPECT_EQ(client.get("/").status, 503);
    open_gate();
    EXPECT_EQ(hanging.receive()->status, 200);
    EXPECT_EQ(waiting.receive()->status, 200);
}

TEST_F(Http, LetsAClientThatAsksSendItsBody) {
    start();
    TlsClient client(port);
    client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
    EXPECT_THAT(client.receive_until("\r\n\r\n"), StartsWith("HTTP/1.1 100 Continue"));
    client.send("hi");
    EXPECT_EQ(client.receive()->body, "POST / hi");
    client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9999999\r\nExpect: 100-continue\r\n\r\n");
    EXPECT_EQ(client.receive()->status, 413);
    EXPECT_TRUE(client.is_closed());
}

TEST_F(Http, SpeaksTls13Alone) {
    start();
    EXPECT_THROW(TlsClient(port, true), std::runtime_error);
    // No TLS at all: closed without a word that could be an answer.
    const FileDescriptor plain = test::connect_to(port);
    ASSERT_GT(::send(plain.get(), get, std::strlen(get), MSG_NOSIGNAL), 0);
    std::string received(1000, '\0');
    const auto size = ::recv(plain.get(), received.data(), received.size(), 0);
    EXPECT_THAT(received.substr(0, static_cast<std::size_t>(std::max<ssize_t>(size, 0))),
                testing::Not(HasSubstr("HTTP")));
    EXPECT_EQ(TlsClient(port).get("/").status, 200);
}

TEST_F(Http, RefusesAndCloses) {
    start();
    const auto status = [&](const std::string& text) {
        TlsClient client(port);
        client.send(text);
        const auto answer = client.receive();
        EXPECT_TRUE(answer && client.is_closed()) << text.substr(0, 80);
        return answer ? answer->status : 0;
    };
    EXPECT_EQ(status("hello\r\n\r\n"), 400);
    EXPECT_EQ(status("GET /%00 HTTP/1.1\r\nHost: h\r\n\r\n"), 400);
    EXPECT_EQ(status("GET /" + std::string(10'000, 'a') + " HTTP/1.1\r\nHost: h\r\n\r\n"), 414);
    EXPECT_EQ(status("GET / HTTP/1.1\r\nHost: h\r\nA: " + std::string(100'000, 'a') + "\r\n\r\n"), 431);
    EXPECT_EQ(
        status("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5000000\r\n\r\n" + std::string(200'000, 'a')),
        413);
    EXPECT_EQ(status("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5;" +
                     std::string(100'000, 'x')),
              431);
    EXPECT_EQ(status("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"
                     "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"),
              400);
    EXPECT_EQ(server->counts().requests, 0);
}

TEST_F(Http, SlowClientsAreLeft) {
    HttpServerSettings settings;
    settings.limits.handshake = settings.limits.header = settings.limits.body = settings.limits.idle =
        milliseconds(500);
    start(echo, settings);
    // One that says nothing, one that stops in its header, one in its body, and one that is idle.
    const FileDescriptor silent = test::connect_to(port);
    TlsClient header(port), body(port), idle(port);
    header.send("GET / HTTP/1.1\r\nHost:");
    body.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc");
    EXPECT_EQ(idle.get("/").status, 200);
    // A byte now and then does not help.
    std::jthread dripping([&](std::stop_token stop) {
        while (!stop.stop_requested() && header.send("a")) std::this_thread::sleep_for(milliseconds(50));
    });
    char byte = 0;
    EXPECT_LE(::recv(silent.get(), &byte, 1, 0), 0);
    dripping.join();
    EXPECT_TRUE(body.is_closed());
    EXPECT_TRUE(idle.is_closed());
    EXPECT_TRUE(eventually([&] { return server->counts().connections == 0; }));
}

TEST_F(Http, AThousandHalfOpenConnectionsDoNotKeepOthersOut) {
    HttpServerSettings settings;
    settings.most_connections = 200;
    start(echo, settings);
    TlsClient working(port);
    std::vector<FileDescriptor> half_open;
    for (int i = 0; i < 1000; ++i) {
        half_open.push_back(test::connect_to(port));
        if (i % 50 == 0) {
            EXPECT_EQ(working.get("/").status, 200) << i;
            EXPECT_EQ(TlsClient(port).get("/").status, 200) << i;
        }
    }
    EXPECT_EQ(working.get("/").status, 200);
    EXPECT_TRUE(eventually([&] { return server->counts().connections <= 200; }));
}

TEST_F(Http, WhatCannotBeTakenOnIsSaidAtOnce) {
    HttpServerSettings settings;
    settings.io_threads = 1;
    settings.handler_threads = 1;
    settings.most_waiting_requests = 1;
    start(
        [&](const Request& request) {
            if (request.path == "/slow") gate.wait();
            return echo(request);
        },
        settings);
    TlsClient slow(port), waiting(port), refused(port);
    slow.send("GET /slow HTTP/1.1\r\nHost: h\r\n\r\n");
    waiting.send("GET /slow HTTP/1.1\r\nHost: h\r\n\r\n");
    ASSERT_TRUE(eventually([&] { return server->counts().requests == 2; }));
    const auto answer = refused.get("/");
    EXPECT_EQ(answer.status, 503);
    EXPECT_THAT(answer.head, HasSubstr("Retry-After: 1\r\n"));
    open_gate();
    EXPECT_EQ(slow.receive()->status, 200);
    EXPECT_EQ(waiting.receive()->status, 200);
    EXPECT_EQ(refused.get("/").status, 200);
}

TEST_F(Http, AnswersWhatIsUnderWayBeforeItStops) {
    std::latch asked(1);
    start([&](const Request& request) {
        asked.count_down();
        gate.wait();
        return echo(request);
    });
    TlsClient client(port), idle(port);
    client.send(get);
    asked.wait();
    std::jthread stopping([&] { server->stop(seconds(30)); });
    EXPECT_TRUE(idle.is_closed());
    EXPECT_THROW(TlsClient{port}, std::runtime_error);
    open_gate();
    const auto answer = client.receive();
    ASSERT_TRUE(answer);
    EXPECT_THAT(answer->head, HasSubstr("Connection: close"));
    stopping.join();
    EXPECT_EQ(server->counts().connections, 0);
}

TEST_F(Http, AnotherCertificateDisturbsNobody) {
    start();
    TlsClient before(port);
    EXPECT_EQ(before.fingerprint(), identity.fingerprint);
    const TlsIdentity other = own_tls_identity(scratch.file("other"), {}, system_clock());
    server->use(other);
    EXPECT_EQ(before.get("/").status, 200);
    EXPECT_EQ(TlsClient(port).fingerprint(), other.fingerprint);
    EXPECT_NE(other.fingerprint, identity.fingerprint);
}

// Counts to `last`, one event a call.
class Counting final : public EventSource {
  public:
    explicit Counting(int last) : last_(last) {}
    std::optional<std::vector<Event>> next() override {
        if (count_ == last_) return std::nullopt;
        ++count_;
        return std::vector<Event>{{std::to_string(count_), "count", std::string(size, 'x')}};
    }
    std::size_t size = 1;

  private:
    int last_, count_ = 0;
};
class Nothing final : public EventSource {
  public:
    std::optional<std::vector<Event>> next() override { return std::vector<Event>{}; }
};

TEST_F(Http, StreamsEventsToTheirEnd) {
    HttpServerSettings settings;
    settings.limits.event_interval = milliseconds(10);
    start(
        [](const Request&) {
            Response response;
            response.events = std::make_shared<Counting>(5);
            return response;
        },
        settings);
    TlsClient client(port);
    client.send(get);
    const std::string text = client.receive_until("id: 5\nevent: count\ndata: x\n\n");
    EXPECT_THAT(text, HasSubstr("Content-Type: text/event-stream\r\n"));
    EXPECT_THAT(text, HasSubstr("id: 1\nevent: count\ndata: x\n\nid: 2\n"));
    EXPECT_TRUE(client.is_closed());
    EXPECT_TRUE(eventually([&] { return server->counts().streams == 0; }));
}

TEST_F(Http, StreamsBeatWhenNothingHappensAndEndWithTheirClient) {
    HttpServerSettings settings;
    settings.limits.event_interval = milliseconds(10);
    settings.limits.heartbeat = milliseconds(50);
    settings.limits.most_streams = 2;
    start(
        [](const Request&) {
            Response response;
            response.events = std::make_shared<Nothing>();
            return response;
        },
        settings);
    auto first = std::make_unique<TlsClient>(port);
    first->send(get);
    EXPECT_THAT(first->receive_until(":\n\n:\n\n"), HasSubstr(":\n\n"));
    TlsClient second(port), third(port);
    second.send(get);
    EXPECT_THAT(second.receive_until(":\n\n"), HasSubstr("200 OK"));
    EXPECT_EQ(third.get("/").status, 503);
    first.reset();
    EXPECT_TRUE(eventually([&] { return server->counts().streams == 1; }));
    server->stop(seconds(30));
    EXPECT_TRUE(second.receive_until("never").find("never") == std::string::npos);
}

TEST_F(Http, AStreamThatNobodyReadsIsDropped) {
    HttpServerSettings settings;
    settings.limits.event_interval = milliseconds(1);
    settings.limits.answer = milliseconds(500);
    start(
        [](const Request&) {
            auto source = std::make_shared<Counting>(1'000'000);
            source->size = 1u << 20;
            Response response;
            response.events = std::move(source);
            return response;
        },
        settings);
    TlsClient client(port);
    client.send(get);
    ASSERT_TRUE(eventually([&] { return server->counts().streams == 1; }));
    EXPECT_TRUE(eventually([&] { return server->counts().connections == 0; }));
    EXPECT_EQ(server->counts().streams, 0);
}

TEST(TlsIdentityFiles, AreMadeOnceAndPrivate) {
    const test::ScratchDirectory scratch;
    FakeClock clock(system_clock().now());
    const TlsIdentity made = own_tls_identity(scratch.file("state"), {"backup.example", "192.0.2.7"}, clock);
    EXPECT_TRUE(made.self_made);
    EXPECT_EQ(own_tls_identity(scratch.file("state"), {}, clock).fingerprint, made.fingerprint);
    EXPECT_EQ(std::filesystem::status(scratch.file("state/server.key")).permissions(),
              std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
    clock.advance(std::chrono::days(3640));
    EXPECT_NE(own_tls_identity(scratch.file("state"), {}, clock).fingerprint, made.fingerprint);
    const TlsIdentity other = own_tls_identity(scratch.file("other"), {}, clock);
    test::expect_error(
        ErrorCode::usage,
        [&] { read_tls_identity(scratch.file("state/server.crt"), scratch.file("other/server.key")); },
        "is not the key");
    test::expect_error(
        ErrorCode::usage,
        [&] { read_tls_identity(scratch.file("state/server.key"), scratch.file("state/server.key")); },
        "no certificate");
    test::expect_error(ErrorCode::not_found,
                       [&] { read_tls_identity(scratch.file("missing"), scratch.file("state/server.key")); });
}

TEST(HttpServerAddress, IsRefusedWhenItIsNone) {
    const test::ScratchDirectory scratch;
    const TlsIdentity identity = own_tls_identity(scratch.file("state"), {}, system_clock());
    for (const char* listen : {"", "localhost", "127.0.0.1:", ":80", "127.0.0.1:99999", "127.0.0.1:x"}) {
        HttpServerSettings settings;
        settings.listen = listen;
        test::expect_error(ErrorCode::usage, [&] {
            HttpServer(settings, identity, echo, refusal, system_clock(), silent_logger());
        });
    }
    HttpServerSettings settings;
    settings.listen = "127.0.0.1:0";
    const HttpServer first(settings, identity, echo, refusal, system_clock(), silent_logger());
    settings.listen = "127.0.0.1:" + std::to_string(first.port());
    test::expect_error(ErrorCode::unavailable, [&] {
        HttpServer(settings, identity, echo, refusal, system_clock(), silent_logger());
    });
}

} // namespace
} // namespace holdfast::api
