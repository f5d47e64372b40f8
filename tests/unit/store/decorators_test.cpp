// Every decorator passes every verb on, and hands back what the store answered.

#include "base/error.h"
#include "store/fault_store.h"
#include "store/metrics_store.h"
#include "store/retry_store.h"
#include "store/stoppable_store.h"
#include "store/throttle_store.h"
#include "support/hook_store.h"

#include <functional>
#include <map>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast {
namespace {

using testing::ElementsAre;

// Answers every verb in a way of its own, and notes what was asked of it.
class AnsweringStore final : public Store {
  public:
    std::vector<std::string> asked;
    CallOptions last_options;

    using Store::put;
    std::string url() const override { return "answering:"; }
    StoreCapabilities capabilities() const override { return {.object_lock = true, .tiers = {"cold"}}; }
    PutResult put(const std::string& name, std::span<const ByteView>, const PutOptions&,
                  const CallOptions& options) override {
        return note("put " + name, options), PutResult::already_there;
    }
    std::optional<Bytes> get(const std::string& name, ByteRange, const CallOptions& options) override {
        return note("get " + name, options), Bytes{1};
    }
    std::optional<ObjectInfo> head(const std::string& name, const CallOptions& options) override {
        return note("head " + name, options), ObjectInfo{.name = name, .size_bytes = 2};
    }
    void list(const std::string& prefix, const std::string& after,
              const std::function<bool(const ObjectInfo&)>& visit, const CallOptions& options) override {
        note("list " + prefix + " after " + after, options);
        visit({.name = prefix + "3"});
    }
    void remove(const std::string& name, const CallOptions& options) override {
        note("remove " + name, options);
    }
    void retain(const std::string& name, const Retention&, const CallOptions& options) override {
        note("retain " + name, options);
    }
    std::optional<Retention> retention(const std::string& name, const CallOptions& options) override {
        return note("retention " + name, options), Retention{.mode = RetentionMode::compliance};
    }
    void list_versions(const std::string& prefix, const std::function<bool(const ObjectVersion&)>& visit,
                       const CallOptions& options) override {
        note("list_versions " + prefix, options);
        visit({.object = {.name = prefix + "4"}, .version = "v"});
    }
    std::optional<Bytes> get_version(const std::string& name, const std::string& version, ByteRange,
                                     const CallOptions& options) override {
        return note("get_version " + name + " " + version, options), Bytes{5};
    }
    void remove_version(const std::string& name, const std::string& version,
                        const CallOptions& options) override {
        note("remove_version " + name + " " + version, options);
    }
    void set_tier(const std::string& name, const std::string& tier, const CallOptions& options) override {
        note("set_tier " + name + " " + tier, options);
    }
    ThawResult thaw(const std::string& name, Duration, const CallOptions& options) override {
        return note("thaw " + name, options), ThawResult::pending;
    }
    PutResult copy(const std::string& from, const std::string& to, const PutOptions&,
                   const CallOptions& options) override {
        return note("copy " + from + " " + to, options), PutResult::already_there;
    }

  private:
    void note(std::string what, const CallOptions& options) {
        asked.push_back(std::move(what));
        last_options = options;
    }
};

// Calls of all verbs on `store`, with `options`.
std::vector<std::function<void(Store&)>> all_verbs(const CallOptions& options) {
    return {
        [=](Store& s) { EXPECT_EQ(s.put("a", ByteView{}, {}, options), PutResult::already_there); },
        [=](Store& s) { EXPECT_EQ(s.get("a", {}, options), Bytes{1}); },
        [=](Store& s) { EXPECT_EQ(s.head("a", options)->size_bytes, 2U); },
        [=](Store& s) {
            std::string seen;
            s.list("p/", "p/2", [&](const ObjectInfo& info) { return seen = info.name, true; }, options);
            EXPECT_EQ(seen, "p/3");
        },
        [=](Store& s) { s.remove("a", options); },
        [=](Store& s) { s.retain("a", {}, options); },
        [=](Store& s) { EXPECT_EQ(s.retention("a", options)->mode, RetentionMode::compliance); },
        [=](Store& s) {
            std::string seen;
            s.list_versions(
                "p/", [&](const ObjectVersion& v) { return seen = v.object.name, true; }, options);
            EXPECT_EQ(seen, "p/4");
        },
        [=](Store& s) { EXPECT_EQ(s.get_version("a", "v", {}, options), Bytes{5}); },
        [=](Store& s) { s.remove_version("a", "v", options); },
        [=](Store& s) { s.set_tier("a", "cold", options); },
        [=](Store& s) { EXPECT_EQ(s.thaw("a", {}, options), ThawResult::pending); },
        [=](Store& s) { EXPECT_EQ(s.copy("a", "b", {}, options), PutResult::already_there); },
    };
}

TEST(Decorators, PassEveryVerbOn) {
    const auto inner = std::make_shared<AnsweringStore>();
    FakeClock clock{Timestamp{}};
    SeededRandom random(1);
    const std::map<std::string, std::shared_ptr<Store>> decorators{
        {"fault", std::make_shared<FaultStore>(inner)},
        {"hook", std::make_shared<test::HookStore>(inner, [](const StoreCall&) {})},
        {"metrics", std::make_shared<MetricsStore>(inner, clock)},
        {"retry", std::make_shared<RetryStore>(inner, RetrySettings{}, clock, random)},
        {"stoppable", std::make_shared<StoppableStore>(*inner, std::stop_token{})},
        {"throttle", std::make_shared<ThrottleStore>(inner, ThrottleSettings{}, clock)},
    };
    for (const auto& [name, decorator] : decorators) {
        SCOPED_TRACE(name);
        EXPECT_EQ(decorator->url(), "answering:");
        EXPECT_TRUE(decorator->capabilities().object_lock);
        inner->asked.clear();
        for (const auto& call : all_verbs({.timeout = std::chrono::seconds(7)})) {
            ASSERT_NO_THROW(call(*decorator));
            EXPECT_EQ(inner->last_options.timeout, std::chrono::seconds(7));
        }
        EXPECT_THAT(inner->asked,
                    ElementsAre("put a", "get a", "head a", "list p/ after p/2", "remove a", "retain a",
                                "retention a", "list_versions p/", "get_version a v", "remove_version a v",
                                "set_tier a cold", "thaw a", "copy a b"));
    }
}

TEST(StoppableStore, GivesItsTokenToEveryCallAndBeginsNoneBehindTheStop) {
    AnsweringStore inner;
    std::stop_source stop;
    StoppableStore store(inner, stop.get_token());
    for (const auto& call : all_verbs({})) {
        call(store);
        EXPECT_EQ(inner.last_options.stop, stop.get_token()) << inner.asked.back();
    }
    inner.asked.clear();
    stop.request_stop();
    for (const auto& call : all_verbs({})) {
        try {
            call(store);
            ADD_FAILURE() << inner.asked.back();
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), ErrorCode::cancelled);
        }
    }
    EXPECT_TRUE(inner.asked.empty());
}

TEST(StoppableStore, LeavesCallsAloneThatHaveATokenOfTheirOwn) {
    AnsweringStore inner;
    std::stop_source stop, own;
    StoppableStore store(inner, stop.get_token());
    stop.request_stop();
    for (const auto& call : all_verbs({.timeout = {}, .stop = own.get_token()})) {
        ASSERT_NO_THROW(call(store));
        EXPECT_EQ(inner.last_options.stop, own.get_token()) << inner.asked.back();
    }
    EXPECT_EQ(inner.asked.size(), store_verb_count);
}

} // namespace
} // namespace holdfast
