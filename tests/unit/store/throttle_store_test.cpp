#include "store/memory_store.h"
#include "store/throttle_store.h"
#include "support/store_conformance.h"

namespace holdfast::test {

namespace {

using std::chrono::seconds;

class ThrottleStoreTest : public testing::Test {
  protected:
    double seconds_of(const std::function<void()>& body) {
        const Duration start = clock_.steady();
        body();
        return std::chrono::duration<double>(clock_.steady() - start).count();
    }

    FakeClock clock_{from_rfc3339("2026-01-01T00:00:00Z")};
    std::shared_ptr<MemoryStore> memory_ = std::make_shared<MemoryStore>();
};

TEST_F(ThrottleStoreTest, LimitsUploads) {
    ThrottleStore store(memory_, {.upload_bytes_per_second = 1000}, clock_);
    const double took = seconds_of([&] {
        for (int i = 0; i < 20; ++i) store.put(std::to_string(i), Bytes(5000));
    });
    EXPECT_NEAR(took, 100, 0.3);
    EXPECT_EQ(seconds_of([&] { store.get("1", {}, {}); }), 0) << "downloads have no limit here";
}

TEST_F(ThrottleStoreTest, LimitsDownloadsByWhatCame) {
    memory_->put("a", Bytes(5000));
    ThrottleStore store(memory_, {.download_bytes_per_second = 1000}, clock_);
    const double took = seconds_of([&] {
        for (int i = 0; i < 10; ++i) store.get("a", {.offset = 4000}, {});
        store.get("absent", {}, {});
    });
    EXPECT_NEAR(took, 10, 0.3);
    EXPECT_EQ(seconds_of([&] { store.put("b", Bytes(100'000)); }), 0);
}

TEST_F(ThrottleStoreTest, DoesNotSaveUpIdleTime) {
    RateLimit limit(1000, clock_, seconds(1));
    clock_.advance(seconds(1000));
    EXPECT_NEAR(seconds_of([&] { limit.take(3000, {}); }), 2, 0.001);
}

TEST_F(ThrottleStoreTest, StopsWaitingWhenAsked) {
    RateLimit limit(1, clock_);
    std::stop_source stop;
    stop.request_stop();
    EXPECT_EQ(error_code_of([&] { limit.take(1000, stop.get_token()); }), ErrorCode::cancelled);
}

} // namespace

} // namespace holdfast::test
