#include "store/fault_store.h"
#include "store/memory_store.h"
#include "store/retry_store.h"
#include "support/store_conformance.h"

#include <gmock/gmock.h>

namespace holdfast::test {

namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const PutOptions only_if_absent{.only_if_absent = true};

class RetryStoreTest : public testing::Test {
  protected:
    void TearDown() override { EXPECT_THAT(faults_->unfired(), IsEmpty()); }

    FakeClock clock_{from_rfc3339("2026-01-01T00:00:00Z")};
    SeededRandom random_{1};
    std::shared_ptr<MemoryStore> memory_ = std::make_shared<MemoryStore>();
    std::shared_ptr<FaultStore> faults_ = std::make_shared<FaultStore>(memory_, clock_);
};

TEST_F(RetryStoreTest, TriesAgainUntilItWorks) {
    faults_->plan({.kind = FaultKind::fail_before, .times = 4});
    RetryStore store(faults_, {}, clock_, random_);
    EXPECT_EQ(store.put("a", as_bytes("x")), PutResult::stored);
    EXPECT_EQ(store.retries(), 4U);
    EXPECT_EQ(memory_->get("a", {}, {}), Bytes{'x'});
}

TEST_F(RetryStoreTest, GivesUpAfterItsAttempts) {
    faults_->plan({.kind = FaultKind::fail_before, .times = UINT64_MAX});
    RetryStore store(faults_, {.attempts = 3}, clock_, random_);
    const Error error = thrown_error([&] { store.head("a", {}); });
    EXPECT_EQ(error.message(), "after 3 attempts: a planned fault");
    EXPECT_EQ(faults_->operation_count(), 3U);
}

TEST_F(RetryStoreTest, DoesNotRepeatWhatCannotHelp) {
    faults_->plan({.error = Error(ErrorCode::access_denied, "no")});
    RetryStore store(faults_, {}, clock_, random_);
    EXPECT_EQ(thrown_error([&] { store.head("a", {}); }).message(), "no");
    EXPECT_EQ(faults_->operation_count(), 1U);
}

TEST_F(RetryStoreTest, WaitsLongerEachTimeAndNeverBeyondItsLimits) {
    faults_->plan({.times = UINT64_MAX});
    const RetrySettings settings{.attempts = 1000,
                                 .first_delay = std::chrono::seconds(1),
                                 .longest_delay = std::chrono::seconds(20),
                                 .total_time = std::chrono::seconds(300)};
    RetryStore store(faults_, settings, clock_, random_);
    const Duration start = clock_.steady();
    EXPECT_THROW(store.head("a", {}), Error);
    const Duration took = clock_.steady() - start;
    EXPECT_LE(took, settings.total_time);
    EXPECT_GT(took, settings.total_time - settings.longest_delay);
    // Delays average half their ceiling, so about 10 s each once they are long.
    EXPECT_GT(faults_->operation_count(), 20U);
    EXPECT_LT(faults_->operation_count(), 60U);
}

class Lines final : public Logger {
  public:
    void log(LogLevel, std::string_view event, std::initializer_list<LogField> fields) override {
        lines.push_back(render_log_line(LogFormat::text, "", LogLevel::warning, event, fields));
    }
    std::vector<std::string> lines;
};

TEST_F(RetryStoreTest, TellsOfALongWaitNowAndThen) {
    Lines told;
    RetryStore store(faults_, {.attempts = 200, .longest_delay = std::chrono::seconds(4)}, clock_, random_,
                     told);
    faults_->plan({.times = 3});
    store.head("a", {});
    EXPECT_THAT(told.lines, IsEmpty());
    faults_->plan({.times = UINT64_MAX});
    const Duration start = clock_.steady();
    EXPECT_THROW(store.head("a", {}), Error);
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(clock_.steady() - start).count();
    EXPECT_GE(told.lines.size(), static_cast<std::size_t>(seconds / 15));
    EXPECT_LE(told.lines.size(), static_cast<std::size_t>(seconds / 10 + 1));
    EXPECT_THAT(told.lines.front(), HasSubstr("is tried again"));
    EXPECT_THAT(told.lines.front(), HasSubstr("reason=\"a planned fault\""));
}

TEST_F(RetryStoreTest, SpreadsItsDelays) {
    std::vector<Duration> delays;
    RetryStore store(faults_, {.attempts = 2, .first_delay = std::chrono::seconds(10)}, clock_, random_);
    for (int i = 0; i < 200; ++i) {
        faults_->plan({});
        const Duration start = clock_.steady();
        store.head("a", {});
        delays.push_back(clock_.steady() - start);
        ASSERT_LE(delays.back(), std::chrono::seconds(10));
    }
    EXPECT_LT(*std::ranges::min_element(delays), std::chrono::seconds(1));
    EXPECT_GT(*std::ranges::max_element(delays), std::chrono::seconds(9));
}

TEST_F(RetryStoreTest, HonoursRetryAfter) {
    faults_->plan({.error = Error(ErrorCode::unavailable, "later", "", true).with_retry_after(77)});
    RetryStore store(faults_, {}, clock_, random_);
    const Duration start = clock_.steady();
    store.head("a", {});
    EXPECT_EQ(clock_.steady() - start, std::chrono::seconds(77));
    // Longer than it may wait in all: it says so at once.
    faults_->plan({.error = Error(ErrorCode::unavailable, "much later", "", true).with_retry_after(1e300)});
    EXPECT_EQ(thrown_error([&] { store.head("a", {}); }).message(), "much later");
    EXPECT_EQ(clock_.steady() - start, std::chrono::seconds(77));
}

TEST_F(RetryStoreTest, ResolvesALostAnswer) {
    faults_->plan({.kind = FaultKind::fail_after, .verb = StoreVerb::put});
    RetryStore store(faults_, {}, clock_, random_);
    EXPECT_EQ(store.put("a", as_bytes("mine"), only_if_absent), PutResult::stored);
    const std::vector<ByteView> parts = {as_bytes("mi"), ByteView(), as_bytes("ne")};
    faults_->plan({.kind = FaultKind::fail_after, .verb = StoreVerb::put});
    EXPECT_EQ(store.put("b", parts, only_if_absent, {}), PutResult::stored);
    EXPECT_EQ(store.put("a", as_bytes("mine"), only_if_absent), PutResult::already_there)
        << "nothing was lost here";
}

TEST_F(RetryStoreTest, DoesNotTakeAnothersObjectForItsOwn) {
    for (const std::string theirs : {"them", "mine and more", "min", ""}) {
        memory_->put("a" + theirs.substr(0, 1), as_bytes(theirs));
        faults_->plan({.kind = FaultKind::fail_before, .verb = StoreVerb::put});
        RetryStore store(faults_, {}, clock_, random_);
        EXPECT_EQ(store.put("a" + theirs.substr(0, 1), as_bytes("mine"), only_if_absent),
                  PutResult::already_there)
            << theirs;
        EXPECT_EQ(memory_->get("a" + theirs.substr(0, 1), {}, {}), Bytes(theirs.begin(), theirs.end()));
    }
}

TEST_F(RetryStoreTest, ResolvesALostAnswerThoughReadingBackFails) {
    faults_->plan({.kind = FaultKind::fail_after, .verb = StoreVerb::put});
    faults_->plan({.kind = FaultKind::fail_before, .verb = StoreVerb::get, .times = 2});
    RetryStore store(faults_, {}, clock_, random_);
    EXPECT_EQ(store.put("a", as_bytes("mine"), only_if_absent), PutResult::stored);
}

TEST_F(RetryStoreTest, ResolvesALostAnswerToACopy) {
    memory_->put("from", as_bytes("content"));
    faults_->plan({.kind = FaultKind::fail_after, .verb = StoreVerb::copy});
    RetryStore store(faults_, {}, clock_, random_);
    EXPECT_EQ(store.copy("from", "to", only_if_absent, {}), PutResult::stored);
    memory_->put("other", as_bytes("CONTENT"));
    faults_->plan({.kind = FaultKind::fail_before, .verb = StoreVerb::copy});
    EXPECT_EQ(store.copy("from", "other", only_if_absent, {}), PutResult::already_there);
}

TEST_F(RetryStoreTest, GoesOnWithAListingWhereItWasCut) {
    for (const std::string name : {"a", "b", "c", "d", "e"}) memory_->put(name, as_bytes("x"));
    faults_->plan({.kind = FaultKind::fail_after, .verb = StoreVerb::list, .position = 2});
    faults_->plan({.kind = FaultKind::fail_after, .verb = StoreVerb::list, .position = 1});
    RetryStore store(faults_, {}, clock_, random_);
    std::vector<std::string> names;
    for (const ObjectInfo& object : store.list_all("")) names.push_back(object.name);
    EXPECT_THAT(names, ElementsAre("a", "b", "c", "d", "e"));
}

TEST_F(RetryStoreTest, VisitsEachVersionOnce) {
    for (const std::string name : {"a", "b"}) {
        for (int i = 0; i < 3; ++i) memory_->put(name, as_bytes(std::to_string(i)));
    }
    faults_->plan({.kind = FaultKind::fail_after, .verb = StoreVerb::list_versions});
    RetryStore store(faults_, {}, clock_, random_);
    int visits = 0;
    store.list_versions("", [&](const ObjectVersion&) { return ++visits > 0; }, {});
    EXPECT_EQ(visits, 6);
}

TEST_F(RetryStoreTest, StopsWaitingWhenAsked) {
    class StoppingClock final : public Clock {
      public:
        Timestamp now() const override { return {}; }
        Duration steady() const override { return {}; }
        bool sleep_for(Duration, std::stop_token) override { return false; }
    } stopping;
    faults_->plan({});
    RetryStore store(faults_, {}, stopping, random_);
    const Error error = thrown_error([&] { store.head("a", {}); });
    EXPECT_EQ(error.code(), ErrorCode::cancelled);
    EXPECT_THAT(error.message(), HasSubstr("a planned fault"));
}

TEST_F(RetryStoreTest, LetsDeathThrough) {
    faults_->die_at(0);
    RetryStore store(faults_, {}, clock_, random_);
    EXPECT_THROW(store.head("a", {}), ProcessDied);
    EXPECT_EQ(faults_->operation_count(), 1U);
}

} // namespace

} // namespace holdfast::test
