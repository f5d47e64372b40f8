#include "repository/pack/pack_pipeline.h"
#include "store/store_decorator.h"
#include "support/content_repository.h"
#include "support/error_matchers.h"
#include "support/hook_store.h"

#include <future>
#include <thread>
#include <vector>

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

PackPipelineSettings without_threads() {
    PackPipelineSettings settings;
    settings.threads = false;
    settings.pack_bytes = 1500;
    settings.level = {.lowest = 1, .highest = 1, .start = 1};
    return settings;
}

Bytes random_frame(std::uint64_t seed) {
    Bytes bytes(1000);
    SeededRandom(seed).fill(bytes);
    return bytes;
}

TEST_F(PackPipelineTest, WithoutThreadsTheCallingThreadPutsPacksInOrder) {
    std::vector<std::string> put;
    const auto store = std::make_shared<test::HookStore>(
        files_.store, [&, caller = std::this_thread::get_id()](const StoreCall& call) {
            EXPECT_EQ(std::this_thread::get_id(), caller);
            if (call.verb == StoreVerb::put) put.push_back(call.name);
        });
    PackPipeline pipeline(*store, run_, files_.clock, without_threads());
    std::vector<FrameAddress> frames;
    for (std::uint64_t i = 0; i < 5; ++i) {
        frames.push_back(pipeline.reserve(data_pack, 0));
        pipeline.submit(frames.back(), random_frame(i), {}, Effort::usual);
    }
    EXPECT_EQ(put, (std::vector{frames[0].pack.name(), frames[2].pack.name()})) << "two frames fill a pack";
    pipeline.flush();
    EXPECT_EQ(put.size(), 3U);
    EXPECT_EQ(pipeline.totals().packs, 3U);
    for (std::uint64_t i = 0; i < 5; ++i)
        EXPECT_EQ(files_.repository->packs().read_frame(frames[i]), random_frame(i));
}

TEST_F(PackPipelineTest, WithoutThreadsAPutThatFailsStopsAllToo) {
    bool full = true;
    const auto store = std::make_shared<test::HookStore>(files_.store, [&](const StoreCall& call) {
        if (full && call.verb == StoreVerb::put) throw Error(ErrorCode::no_space, "the disk is full");
    });
    PackPipeline pipeline(*store, run_, files_.clock, without_threads());
    const FrameAddress first = pipeline.reserve(data_pack, 0);
    const FrameAddress second = pipeline.reserve(metadata_pack, 0);
    pipeline.submit(first, frame(), {}, Effort::usual);
    pipeline.submit(second, frame(), {}, Effort::usual);
    EXPECT_EQ(test::code_of([&] { pipeline.flush(); }), to_string(ErrorCode::no_space));
    full = false;
    EXPECT_EQ(test::code_of([&] { pipeline.flush(); }), to_string(ErrorCode::no_space));
    EXPECT_EQ(test::code_of([&] { pipeline.reserve(data_pack, 0); }), to_string(ErrorCode::no_space));
    EXPECT_FALSE(files_.store->head(second.pack.name(), {}));
}

} // namespace
} // namespace holdfast
