#include "store/fault_store.h"
#include "store/memory_store.h"
#include "support/store_conformance.h"

#include <gmock/gmock.h>

namespace holdfast::test {

namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class FaultStoreTest : public testing::Test {
  protected:
    std::optional<Bytes> stored(const std::string& name) { return memory_->get(name, {}, {}); }

    FakeClock clock_{from_rfc3339("2026-01-01T00:00:00Z")};
    std::shared_ptr<MemoryStore> memory_ = std::make_shared<MemoryStore>();
    FaultStore store_{memory_, clock_};
};

TEST_F(FaultStoreTest, FailsBeforeAndAfter) {
    store_.plan({.kind = FaultKind::fail_before, .verb = StoreVerb::put, .name_prefix = "b"});
    store_.plan({.kind = FaultKind::fail_after, .verb = StoreVerb::put, .name_prefix = "a"});
    EXPECT_TRUE(thrown_error([&] { store_.put("before", as_bytes("x")); }).retryable());
    EXPECT_EQ(stored("before"), std::nullopt);
    EXPECT_EQ(error_code_of([&] { store_.put("after", as_bytes("x")); }), ErrorCode::unavailable);
    EXPECT_EQ(stored("after"), Bytes{'x'});
    EXPECT_EQ(store_.put("before", as_bytes("x")), PutResult::stored) << "a fault fires as often as planned";
    EXPECT_THAT(store_.unfired(), IsEmpty());
}

TEST_F(FaultStoreTest, SkipsAndRepeats) {
    store_.plan({.kind = FaultKind::fail_before, .verb = StoreVerb::head, .skip = 1, .times = 2});
    EXPECT_NO_THROW(store_.head("a", {}));
    EXPECT_NO_THROW(store_.get("a", {}, {}));
    EXPECT_THROW(store_.head("a", {}), Error);
    EXPECT_THROW(store_.head("a", {}), Error);
    EXPECT_NO_THROW(store_.head("a", {}));
    EXPECT_EQ(store_.reports().at(0).fired, 2U);
}

TEST_F(FaultStoreTest, TellsWhichFaultsDidNotFire) {
    store_.plan({.kind = FaultKind::disk_full, .name_prefix = "packs/", .skip = 1});
    store_.put("packs/a", as_bytes("x"));
    EXPECT_THAT(store_.unfired(), ElementsAre("disk_full on any packs/ (skip 1)"));
    EXPECT_EQ(error_code_of([&] { store_.put("packs/b", as_bytes("x")); }), ErrorCode::no_space);
    EXPECT_THAT(store_.unfired(), IsEmpty());
}

TEST_F(FaultStoreTest, SpoilsReads) {
    memory_->put("a", Bytes{1, 2, 3, 4});
    store_.plan({.kind = FaultKind::flip_bit, .position = 17});
    EXPECT_EQ(store_.get("a", {}, {}), (Bytes{1, 2, 1, 4}));
    store_.plan({.kind = FaultKind::short_read, .position = 3});
    EXPECT_EQ(store_.get("a", {}, {}), (Bytes{1, 2, 3}));
    EXPECT_EQ(store_.get("a", {}, {}), (Bytes{1, 2, 3, 4}));
    EXPECT_THAT(store_.unfired(), IsEmpty());
}

TEST_F(FaultStoreTest, TearsPuts) {
    const std::vector<ByteView> parts = {as_bytes("abc"), as_bytes("def")};
    store_.plan({.kind = FaultKind::torn_put, .position = 4});
    EXPECT_THROW(store_.put("a", parts, {}, {}), Error);
    EXPECT_EQ(stored("a"), Bytes({'a', 'b', 'c', 'd'}));
}

TEST_F(FaultStoreTest, CanBeReadOnly) {
    memory_->put("a", as_bytes("x"));
    store_.plan({.kind = FaultKind::read_only, .times = UINT64_MAX});
    EXPECT_EQ(error_code_of([&] { store_.put("b", as_bytes("x")); }), ErrorCode::read_only);
    EXPECT_EQ(error_code_of([&] { store_.remove("a", {}); }), ErrorCode::read_only);
    EXPECT_EQ(store_.get("a", {}, {}), Bytes{'x'});
    EXPECT_EQ(store_.list_all("").size(), 1U);
}

TEST_F(FaultStoreTest, DelaysOnItsClock) {
    store_.plan({.kind = FaultKind::delay, .delay = std::chrono::seconds(30)});
    const Duration before = clock_.steady();
    store_.head("a", {});
    EXPECT_EQ(clock_.steady() - before, std::chrono::seconds(30));
}

TEST_F(FaultStoreTest, CutsListings) {
    for (const std::string name : {"a", "b", "c"}) memory_->put(name, as_bytes("x"));
    store_.plan({.kind = FaultKind::fail_after, .verb = StoreVerb::list, .position = 2});
    std::vector<std::string> names;
    const auto list = [&] {
        store_.list("", "",
                    [&](const ObjectInfo& object) {
                        names.push_back(object.name);
                        return true;
                    },
                    {});
    };
    EXPECT_THROW(list(), Error);
    EXPECT_THAT(names, ElementsAre("a", "b"));
}

// What every kill test does: count the operations of a run, then die at each of them.
TEST_F(FaultStoreTest, DiesAtEveryOperation) {
    const auto work = [](Store& store) {
        store.put("a", as_bytes("1234"));
        store.head("a", {});
        store.put("b", as_bytes("5678"));
        store.remove("a", {});
    };
    work(store_);
    ASSERT_EQ(store_.operation_count(), 4U);
    EXPECT_EQ(store_.operations()[3].verb, StoreVerb::remove);
    for (const FaultKind kind : {FaultKind::die_before, FaultKind::die_after, FaultKind::die_torn}) {
        for (std::uint64_t n = 0; n < 4; ++n) {
            const auto memory = std::make_shared<MemoryStore>();
            FaultStore store(memory);
            store.die_at(n, kind, 2);
            try {
                work(store);
                FAIL() << "it did not die at operation " << n;
            } catch (const ProcessDied& death) {
                EXPECT_EQ(death.operation, n);
            }
            EXPECT_TRUE(store.dead());
            EXPECT_THAT(store.unfired(), IsEmpty());
            EXPECT_THROW(store.head("a", {}), ProcessDied) << "the dead do not come back";
            EXPECT_EQ(store.operation_count(), n + 1);
            const bool happened = kind != FaultKind::die_before;
            EXPECT_EQ(memory->head("b", {}).has_value(), n > 2 || (n == 2 && happened));
            EXPECT_EQ(memory->head("a", {}).has_value(), n > 0 ? !(n == 3 && happened) : happened);
            if (n == 2 && kind == FaultKind::die_torn) {
                EXPECT_EQ(memory->get("b", {}, {}), Bytes({0x35, 0x36}));
            }
            store.heal();
            EXPECT_NO_THROW(work(store));
        }
    }
}

TEST_F(FaultStoreTest, ReplaysASeed) {
    const auto run = [](std::uint64_t seed) {
        FaultStore store(std::make_shared<MemoryStore>());
        store.set_chances({.fail_before = 100, .fail_after = 100, .flip_bit = 100, .short_read = 100}, seed);
        std::string history;
        for (int i = 0; i < 200; ++i) {
            const std::string name = std::to_string(i / 2);
            try {
                if (i % 2 == 0) {
                    store.put(name, as_bytes("some bytes"));
                    history += 'p';
                } else {
                    history += std::string(as_text(store.get(name, {}, {}).value_or(Bytes{'-'})));
                }
            } catch (const Error&) {
                history += '!';
            }
        }
        EXPECT_GT(store.chance_faults(), 20U);
        return history;
    };
    EXPECT_EQ(run(1), run(1));
    EXPECT_NE(run(1), run(2));
}

} // namespace

} // namespace holdfast::test
