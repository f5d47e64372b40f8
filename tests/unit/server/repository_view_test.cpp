// What the server sees of its repository when a part of the look fails.
#include "server/repository_view.h"
#include "support/document_repository.h"
#include "support/hook_store.h"

namespace holdfast::test {
namespace {

TEST(RepositoryObserver, WhatIsSeenDoesNotFailWithWhatIsLookedAtLessOften) {
    DocumentRepository documents;
    documents.write_file("a", 100'000, 1);
    documents.back_up();
    bool broken = false;
    const auto store = std::make_shared<HookStore>(documents.store, [&](const StoreCall& call) {
        if (broken && call.name.starts_with("probe/"))
            throw Error(ErrorCode::unavailable, "the store takes nothing now", {}, true);
    });
    const auto open = [&] {
        return OpenRepository{
            .repository = std::make_unique<Repository>(
                store, unlock(*store, DocumentRepository::passphrase()),
                LocalDirectories{documents.scratch.file("cache"), documents.scratch.path().string()},
                system_clock(), documents.random, silent_logger()),
            .store = {}};
    };
    FakeClock clock{Timestamp(std::chrono::hours(1))};
    RepositoryObserver observer(open, clock);
    observer.look({}, {}, {});
    const auto bytes = observer.view()->measurements.repository.bytes;
    const auto offset = observer.view()->clock_offset_seconds;
    ASSERT_TRUE(bytes);
    ASSERT_TRUE(offset);
    EXPECT_GT(*bytes, 100'000U);

    broken = true;
    documents.write_file("b", 100'000, 2);
    documents.back_up();
    clock.advance(std::chrono::hours(2));
    observer.look({}, {}, {});
    EXPECT_EQ(observer.view()->measurements.snapshots.size(), 2U);
    // Counting takes nothing but reading.
    EXPECT_GT(observer.view()->measurements.repository.bytes, bytes);
    EXPECT_EQ(observer.view()->clock_offset_seconds, offset);
}

} // namespace
} // namespace holdfast::test
