// The PostgreSQL server that has the catalog is gone for an hour, or hangs.
#include "integration/server/moving_clock.h"
#include "integration/server/serve_api.h"
#include "support/postgres_server.h"
#include "support/smtp_server.h"
#include "support/tls_client.h"

#include <csignal>
#include <fstream>
#include <map>
#include <sstream>
#include <thread>

#include <gmock/gmock.h>

namespace holdfast::test {
namespace {

using Json = nlohmann::json;
using std::chrono::seconds;
using testing::Contains;
using testing::HasSubstr;
using testing::Key;

constexpr std::uint64_t megabyte = 1'000'000;
// For so long nobody else takes over what a server has begun.
constexpr seconds lease(30);

// The lines of a log without their times, and how often each is there.
std::map<std::string, int> counted_lines(const std::string& log) {
    std::map<std::string, int> lines;
    std::istringstream text(log);
    for (std::string line; std::getline(text, line);) ++lines[line.substr(line.find(' ') + 1)];
    return lines;
}

class ServeOutage : public ServeApi {
  protected:
    void configure_here(const std::string& policies, const std::string& global = {}) {
        configure(policies, global, fmt::format("catalog = \"{}\"\n", url));
    }
    // A source of its own beside `home`, with one document.
    std::string small_source() {
        std::filesystem::create_directory(scratch.file("small"));
        std::ofstream(scratch.file("small/a")) << "content";
        return fmt::format("[source.small]\nkind = \"documents\"\npaths = [\"{}\"]\n", scratch.file("small"));
    }
    bool has_mail(const std::string& about) const {
        return std::ranges::any_of(mails.mails(), [&](const SmtpServer::Mail& mail) {
            return mail.text().find(about) != std::string::npos;
        });
    }
    std::string mail_channel() const {
        return fmt::format("[channel.mail]\ntype = \"smtp\"\nserver = \"{}\"\ntls = \"none\"\n"
                           "from = \"holdfast@example.org\"\nto = \"ops@example.org\"\n",
                           mails.address());
    }
    // To all processes of the database. Stopped they are as those of a machine that hangs, which neither
    // answers nor hangs up.
    void signal_database(int number) const {
        ::kill(postgres.process(), number);
        std::ifstream list(fmt::format("/proc/{0}/task/{0}/children", postgres.process()));
        for (pid_t child; list >> child;) ::kill(child, number);
    }

    // What the catalog knows, asked over a session of ours.
    struct Known {
        explicit Known(const std::string& url) : catalog(url, silent_logger()) {}
        Catalog catalog;
        Operations operations{catalog, system_clock(), system_random()};
    };

    SmtpServer mails;
    PostgresServer postgres;
    std::string url = "postgresql://postgres@/postgres?host=" + postgres.socket_directory();
    MovingClock clock{scratch.file("clock"), options};
};

// What was under way is nobody's by then, and goes on when the catalog is back.
TEST_F(ServeOutage, AnHourWithoutItsCatalogIsMadeUpFor) {
    for (unsigned i = 0; i < 12; ++i) write_random(fmt::format("{}", i), 10 * megabyte, i);
    const std::string declared = small_source() + mail_channel() +
                                 "[policy.often]\nsources = [\"small\"]\n"
                                 "[[policy.often.backup]]\nname = \"often\"\nevery = \"10min\"\n";
    configure_here(declared, "limit_upload = \"3M\"\n");
    clock.start([&] { serve(); });
    EXPECT_EQ(ask("POST", "/v1/backups", R"({"source":"home"})").status, 202);
    auto known = std::make_unique<Known>(url);
    const auto of_small = [&] { return known->operations.list({.source = "small"}); };
    wait_until(*server, [&] {
        return repository_bytes() > 5 * megabyte && !of_small().empty() && is_over(of_small().front().state);
    });
    const std::size_t before = of_small().size();
    const Timestamp gone_at = system_clock().now();
    postgres.stop(PostgresStop::kill);
    const auto gone_since = std::chrono::steady_clock::now();
    said(*server, "catalog fails");
    clock.move("+1h");
    // It says that it lives and cannot work, lets nobody in, and can be told another configuration.
    EXPECT_EQ(ask("GET", "/healthz").status, 200);
    const Answer ready = ask("GET", "/readyz");
    EXPECT_EQ(ready.status, 503);
    EXPECT_EQ(ready.body["checks"]["catalog"], "does not answer");
    EXPECT_EQ(ask("POST", "/v1/backups", R"({"source":"home"})").status, 503);
    configure_here(declared + "[policy.added]\nsources = [\"elsewhere\"]\n"
                              "[policy.added.retention]\nlast = 9\n",
                   "limit_upload = \"3M\"\n");
    server->signal(SIGHUP);
    said(*server, "configuration read again");
    const std::string read_again = to_rfc3339(system_clock().now() + std::chrono::hours(1));
    // Without the catalog, which knows who was told what, everybody is.
    wait_until(*server, [&] { return has_mail("monitor_failing"); });
    std::this_thread::sleep_until(gone_since + lease + seconds(2));
    EXPECT_FALSE(server->ended());
    // Which is no news every few seconds.
    const std::map<std::string, int> lines = counted_lines(server->error_so_far());
    EXPECT_THAT(lines, Contains(Key(HasSubstr("notices wait"))));
    for (const auto& [line, times] : lines) {
        const bool lasts =
            line.find("notices wait") != std::string::npos || line.find("approved") != std::string::npos;
        EXPECT_TRUE(!lasts || times == 1) << line;
    }
    postgres.start();
    known = std::make_unique<Known>(url);
    wait_until(*server, [&] { return ask("GET", "/readyz").status == 200; });
    wait_until(*server, [&] {
        const auto all = known->operations.list({});
        return of_small().size() > before &&
               std::ranges::all_of(all, [](const Operation& one) { return is_over(one.state); });
    });
    // Of six runs that were missed one is made up for; the next may have come meanwhile.
    EXPECT_LE(of_small().size(), before + 2);
    EXPECT_GT(of_small().front().nominal.value(), gone_at + std::chrono::minutes(49));
    EXPECT_EQ(known->operations.list({.source = "home"}).size(), 1U);
    expect_done_once(known->operations);
    // What took effect meanwhile is told afterwards, once.
    std::vector<Json> in_effect;
    const Json trail = got("/v1/audit")["items"];
    std::ranges::copy_if(trail, std::back_inserter(in_effect),
                         [](const Json& entry) { return entry["action"] == "configuration.in_effect"; });
    ASSERT_EQ(in_effect.size(), 1U);
    EXPECT_EQ(in_effect[0]["details"]["policies"][0]["name"], "added");
    EXPECT_LE(in_effect[0]["details"]["time"].get<std::string>(), read_again);
    EXPECT_GT(in_effect[0]["time"].get<std::string>(), in_effect[0]["details"]["time"].get<std::string>());
    expect_restore_equals_source();
    server->signal(SIGTERM);
    EXPECT_EQ(server->finish().exit_code, 0);
}

// As when the machine of the database stands still: nothing is refused, and nothing answered.
TEST_F(ServeOutage, ACatalogThatHangsHangsNeitherTheServerNorWhatItDoes) {
    write("a", "content");
    configure_here(small_source());
    serve();
    done("/v1/backups", R"({"source":"home"})");
    constexpr unsigned clients = 20;
    std::vector<std::unique_ptr<TlsClient>> waiting;
    for (unsigned i = 0; i < clients; ++i) waiting.push_back(std::make_unique<TlsClient>(port));
    signal_database(SIGSTOP);
    for (const auto& client : waiting)
        client->send("GET /v1/operations HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer " + token + "\r\n\r\n");
    for (int i = 0; i < 20; ++i) {
        EXPECT_EQ(TlsClient(port).get("/healthz").status, 200);
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    signal_database(SIGCONT);
    for (const auto& client : waiting) EXPECT_EQ(client->receive()->status, 200);
    done("/v1/backups", R"({"source":"small"})");
    Known known(url);
    expect_done_once(known.operations);
    server->signal(SIGTERM);
    EXPECT_EQ(server->finish().exit_code, 0);
}

} // namespace
} // namespace holdfast::test
