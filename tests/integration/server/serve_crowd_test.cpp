// Too much at once: requests faster than they can be answered, connections that say nothing, and the same
// request from many sides.
#include "integration/server/serve_api.h"
#include "support/tls_client.h"

#include <csignal>
#include <latch>
#include <mutex>
#include <set>
#include <thread>

#include <gmock/gmock.h>
#include <sys/resource.h>

namespace holdfast::test {
namespace {

using Json = nlohmann::json;
using std::chrono::milliseconds;
using testing::Each;
using testing::IsEmpty;

constexpr std::uint64_t megabyte = 1'000'000;

std::string request(const std::string& line, const std::string& token, const std::string& more = {}) {
    const std::string shown = token.empty() ? "" : "Authorization: Bearer " + token + "\r\n";
    return fmt::format("{} HTTP/1.1\r\nHost: localhost\r\n{}{}\r\n", line, shown, more);
}

// What came back to many requests.
class Tally {
  public:
    void count(const std::optional<TlsAnswer>& answer) {
        const std::string wrong = problem_with(answer);
        const std::scoped_lock lock(mutex_);
        if (answer) ++by_status_[answer->status];
        if (!wrong.empty()) wrong_.insert(wrong);
    }
    // An answer is what was asked for, or says that there was too much, as a problem document.
    static std::string problem_with(const std::optional<TlsAnswer>& answer) {
        if (!answer) return "no answer";
        const Json body = Json::parse(answer->body, nullptr, false);
        if (!body.is_object()) return "no JSON: " + answer->head + answer->body;
        if (answer->status == 200) return {};
        const bool problem = answer->head.find("application/problem+json") != std::string::npos &&
                             answer->head.find("Retry-After: ") != std::string::npos &&
                             body.value("status", 0) == answer->status;
        if ((answer->status == 429 || answer->status == 503) && problem) return {};
        return answer->head + answer->body;
    }
    std::set<std::string> wrong() const { return wrong_; }
    std::size_t of(int status) const { return by_status_.contains(status) ? by_status_.at(status) : 0; }

  private:
    std::mutex mutex_;
    std::map<int, std::size_t> by_status_;
    std::set<std::string> wrong_;
};

class ServeCrowd : public ServeApi {
  protected:
    ServeCrowd() {
        // Of the connections one end is ours.
        rlimit files{};
        ::getrlimit(RLIMIT_NOFILE, &files);
        files.rlim_cur = files.rlim_max;
        ::setrlimit(RLIMIT_NOFILE, &files);
    }
    // A number of kilobytes of /proc/PID/status.
    std::size_t kilobytes(const std::string& name) const {
        std::ifstream status("/proc/" + std::to_string(server->process()) + "/status");
        for (std::string line; std::getline(status, line);)
            if (line.starts_with(name + ":")) return std::stoul(line.substr(name.size() + 1));
        ADD_FAILURE() << name;
        return 0;
    }
    std::size_t sockets() const {
        std::size_t count = 0;
        std::error_code ignored;
        for (const auto& file :
             std::filesystem::directory_iterator("/proc/" + std::to_string(server->process()) + "/fd")) {
            if (std::filesystem::read_symlink(file.path(), ignored).string().starts_with("socket:")) ++count;
        }
        return count;
    }
    // Eight clients, each with a connection that it keeps, that send as fast as they can: so many requests
    // ahead of the answers, again and again.
    void storm(Tally& tally, unsigned rounds) const {
        constexpr unsigned clients = 8, ahead = 25;
        const std::vector<std::string> lines{"GET /v1/operations?limit=5", "GET /v1/sources", "GET /readyz",
                                             "GET /v1/snapshots", "GET /healthz"};
        std::vector<std::jthread> threads;
        for (unsigned i = 0; i < clients; ++i) {
            threads.emplace_back([&] {
                TlsClient client(port);
                for (unsigned round = 0; round < rounds; ++round) {
                    std::string many;
                    for (unsigned k = 0; k < ahead; ++k) many += request(lines[k % lines.size()], token);
                    client.send(many);
                    for (unsigned k = 0; k < ahead; ++k) tally.count(client.receive());
                }
            });
        }
    }
    // Has a backup begun in the midst of it all, however often that is refused.
    std::string begin_backup() {
        Answer asked;
        wait_until(*server, [&] {
            asked = ask("POST", "/v1/backups", R"({"source":"home"})", {"Idempotency-Key: in-the-storm"});
            return asked.status != 429 && asked.status != 503;
        });
        EXPECT_EQ(asked.status, 202) << asked.body;
        return asked.location;
    }
};

TEST_F(ServeCrowd, RequestsFasterThanTheyCanBeAnsweredAreAnsweredOrRefused) {
    write_random("a", 30 * megabyte, 1);
    configure("", "limit_upload = \"10M\"\n");
    serve();
    Tally first, second, alive;
    storm(first, 20);
    const std::size_t before = kilobytes("VmRSS");
    std::string operation;
    {
        // An address may ask ten thousand times a second, which all of this together does not.
        const std::jthread asking([&](const std::stop_token& stop) {
            TlsClient client(port);
            while (!stop.stop_requested()) {
                client.send(request("GET /healthz", {}));
                alive.count(client.receive());
            }
        });
        const std::jthread storming([&] { storm(second, 80); });
        operation = begin_backup();
    }
    EXPECT_THAT(first.wrong(), IsEmpty());
    EXPECT_THAT(second.wrong(), IsEmpty());
    EXPECT_THAT(alive.wrong(), IsEmpty());
    EXPECT_GT(first.of(200), 0U);
    EXPECT_GT(second.of(200), 0U);
    EXPECT_GT(alive.of(200), 0U);
    // Sixteen thousand requests leave nothing behind them but what allocators keep.
    EXPECT_LT(kilobytes("VmHWM"), before + 64 * 1024) << before;
    Json now;
    wait_until(*server, [&] {
        const Answer answer = ask("GET", operation);
        now = answer.body;
        return answer.status == 200 && now["state"] != "queued" && now["state"] != "running";
    });
    EXPECT_EQ(now["state"], "succeeded") << now;
    EXPECT_EQ(got("/v1/operations")["items"].size(), 1U);
    expect_restore_equals_source();
}

TEST_F(ServeCrowd, AThousandHalfOpenConnectionsKeepNobodyOut) {
    write("a", "content");
    configure("");
    serve();
    const std::size_t before = sockets();
    {
        std::vector<FileDescriptor> silent;
        std::vector<std::unique_ptr<TlsClient>> half;
        TlsClient working(port);
        for (unsigned i = 0; i < 1000; ++i) {
            if (i % 3 == 0) {
                silent.push_back(connect_to(port));
            } else {
                half.push_back(std::make_unique<TlsClient>(port));
                if (i % 3 == 1) half.back()->send("GET /v1/operations HTTP/1.1\r\nHost: local");
            }
            if (i % 50 != 0) continue;
            EXPECT_EQ(working.get("/v1/operations", token).status, 200) << i;
            EXPECT_EQ(TlsClient(port).get("/readyz").status, 200) << i;
        }
        EXPECT_EQ(ask("GET", "/v1/sources").status, 200);
        done("/v1/backups", R"({"source":"home"})");
        EXPECT_LE(sockets(), before + 512);
    }
    wait_until(*server, [&] { return sockets() <= before; });
    EXPECT_EQ(ask("GET", "/healthz").status, 200);
}

TEST_F(ServeCrowd, OneKeyFromManySidesIsOneOperation) {
    write("a", "content");
    configure("");
    serve();
    constexpr unsigned clients = 20;
    const std::string body = R"({"source":"home"})";
    for (const std::string key : {"first", "second"}) {
        std::latch together(clients);
        std::mutex mutex;
        std::vector<int> statuses;
        std::set<std::string> operations;
        {
            std::vector<std::jthread> threads;
            for (unsigned i = 0; i < clients; ++i) {
                threads.emplace_back([&] {
                    TlsClient client(port);
                    together.arrive_and_wait();
                    client.send(request("POST /v1/backups", token,
                                        fmt::format("Content-Type: application/json\r\nContent-Length: {}\r\n"
                                                    "Idempotency-Key: {}\r\n",
                                                    body.size(), key)) +
                                body);
                    const auto answer = client.receive();
                    const std::scoped_lock lock(mutex);
                    statuses.push_back(answer ? answer->status : 0);
                    if (answer) operations.insert(Json::parse(answer->body).value("operation", answer->body));
                });
            }
        }
        EXPECT_EQ(statuses.size(), clients);
        EXPECT_THAT(statuses, Each(202));
        EXPECT_EQ(operations.size(), 1U) << testing::PrintToString(operations);
    }
    EXPECT_EQ(got("/v1/operations")["items"].size(), 2U);
    wait_until_all_over(*server, 2);
    EXPECT_EQ(json({"snapshots"}).size(), 2U);
}

} // namespace
} // namespace holdfast::test
