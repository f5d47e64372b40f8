// A thousand sources with a backup due in the same minute.
#include "integration/server/serve_api.h"

#include <csignal>
#include <fstream>
#include <set>

#include <gmock/gmock.h>

namespace holdfast::test {
namespace {

constexpr unsigned sources = 1000;
constexpr std::int64_t at_once = 4;

class ServeManySources : public ServeApi {
  protected:
    // With a document each, and one policy for all.
    std::string make_sources() {
        std::string text = nightly("source-*");
        for (unsigned i = 0; i < sources; ++i) {
            const std::string name = fmt::format("source-{}", i);
            write(name + "/a", name);
            text += fmt::format("[source.{}]\nkind = \"documents\"\npaths = [\"{}\"]\n", name, place(name));
        }
        return text;
    }
    std::int64_t over() {
        std::int64_t count = 0;
        for (const auto& [state, number] : beside().operations.counts())
            if (is_over(state)) count += number;
        return count;
    }
    std::int64_t asked_for() {
        std::int64_t count = 0;
        for (const auto& [state, number] : beside().operations.counts()) count += number;
        return count;
    }
    // Some of them are done, never more than may be at a time, and whoever asks is answered.
    void expect_some_more_done(std::int64_t more) {
        const std::int64_t enough = over() + more;
        unsigned looks = 0;
        wait_until(*server, [&] {
            EXPECT_LE(beside().operations.counts()[OperationState::running], at_once);
            if (++looks % 50 == 0) {
                EXPECT_EQ(ask("GET", "/readyz").status, 200);
            }
            return over() >= enough;
        });
    }
    void stop() {
        server->signal(SIGTERM);
        EXPECT_EQ(server->finish().exit_code, 0);
        EXPECT_EQ(beside().operations.counts()[OperationState::running], 0);
        EXPECT_EQ(asked_for(), sources);
        expect_done_once(beside().operations);
    }
};

TEST_F(ServeManySources, AreAskedForOnceAndDoneAFewAtATime) {
    configure(make_sources(), "", fmt::format("at_once = {}\n", at_once));
    serve();
    wait_until(*server, [&] { return asked_for() == sources; });
    expect_some_more_done(30);
    stop();
    // What was asked for and not begun is still asked for, and not once more.
    serve();
    expect_some_more_done(10);
    stop();
    std::set<std::string> of;
    for (const Operation& one : beside().operations.list({.limit = sources}))
        EXPECT_TRUE(of.insert(one.source.value()).second) << "asked for twice: " << *one.source;
    EXPECT_EQ(of.size(), sources);
}

} // namespace
} // namespace holdfast::test
