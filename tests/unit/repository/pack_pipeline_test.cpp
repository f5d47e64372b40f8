#include "repository/pack/pack_pipeline.h"
#include "store/store_decorator.h"
#include "support/content_repository.h"
#include "support/error_matchers.h"

#include <future>

#include <gtest/gtest.h>

namespace holdfast {
namespace {

using test::ContentRepository;

// Holds every put until its caller stops it.
class HangingStore final : public StoreDecorator {
  public:
    explicit HangingStore(std::shared_ptr<Store> inner) : StoreDecorator(std::move(inner)) {}
    std::promise<void> reached;

    using StoreDecorator::put;
    PutResult put(const std::string&, std::span<const ByteView>, const PutOptions&,
                  const CallOptions& options) override {
        reached.set_value();
        EXPECT_TRUE(options.stop.stop_possible());
        std::mutex mutex;
        std::condition_variable_any never;
        std::unique_lock lock(mutex);
        never.wait(lock, options.stop, [] { return false; });
        throw Error(ErrorCode::cancelled, "the put was stopped");
    }

  protected:
    void around(StoreCall&, const std::function<void()>& body) override { body(); }
};

class PackPipelineTest : public testing::Test {
  protected:
    PackPipelineTest() : run_(files_.repository->keys().begin_run(files_.random)) {}
    static Bytes frame() { return Bytes(1000, 7); }

    ContentRepository files_;
    RunContext run_;
};

TEST_F(PackPipelineTest, AFrameIsSubmittedOnce) {
    PackPipeline pipeline(*files_.store, run_, files_.clock, {});
    const FrameAddress address = pipeline.reserve(data_pack, 0);
    pipeline.submit(address, frame(), {}, Effort::usual);
    EXPECT_EQ(test::code_of([&] { pipeline.submit(address, Bytes(1000, 8), {}, Effort::usual); }),
              to_string(ErrorCode::internal));
    pipeline.flush();
    EXPECT_EQ(test::code_of([&] { pipeline.submit(address, frame(), {}, Effort::usual); }),
              to_string(ErrorCode::internal));
    EXPECT_EQ(files_.repository->packs().read_frame(address), frame());
}

TEST_F(PackPipelineTest, AFrameThatWasOnlyReservedIsNotWaitedFor) {
    PackPipeline pipeline(*files_.store, run_, files_.clock, {});
    pipeline.reserve(data_pack, 0);
    EXPECT_EQ(test::code_of([&] { pipeline.flush(); }), to_string(ErrorCode::internal));
}

TEST_F(PackPipelineTest, AStopEndsThePutsThatAreUnderWay) {
    HangingStore store(files_.store);
    std::stop_source stop;
    PackPipeline pipeline(store, run_, files_.clock, {}, stop.get_token());
    pipeline.submit(pipeline.reserve(data_pack, 0), frame(), {}, Effort::usual);
    std::jthread stopper([&] {
        store.reached.get_future().wait();
        stop.request_stop();
    });
    EXPECT_EQ(test::code_of([&] { pipeline.flush(); }), to_string(ErrorCode::cancelled));
}

} // namespace
} // namespace holdfast
