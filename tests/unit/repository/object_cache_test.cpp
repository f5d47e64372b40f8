// What is kept of commits and statements on the local disk.

#include "repository/protocol/object_cache.h"
#include "repository/protocol/statement.h"
#include "store/store_decorator.h"
#include "support/collector_fixture.h"
#include "support/temporary_directory.h"

#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;
using testing::SizeIs;
using testing::UnorderedElementsAre;

Bytes bytes_of(std::string_view text) {
    const ByteView bytes = as_bytes(text);
    return {bytes.begin(), bytes.end()};
}

// Notes what is read whole.
class NotingStore final : public StoreDecorator {
  public:
    using Store::put;
    using StoreDecorator::StoreDecorator;
    std::vector<std::string> read() {
        const std::scoped_lock lock(mutex_);
        return std::exchange(read_, {});
    }

  protected:
    void around(StoreCall& call, const std::function<void()>& body) override {
        if (call.verb == StoreVerb::get) {
            const std::scoped_lock lock(mutex_);
            read_.push_back(call.name);
        }
        body();
    }

  private:
    std::mutex mutex_;
    std::vector<std::string> read_;
};

class ObjectCacheTest : public CollectorTest {
  protected:
    test::TemporaryDirectory directory;
    const std::string file = directory / "cache/objects.sqlite";
    ObjectCache cache{file, silent_logger()};
};

TEST_F(ObjectCacheTest, KeepsWhatItIsGivenUntilItIsToldOtherwise) {
    const std::vector<std::string> names{"commits/a", "commits/b", "commits/c"};
    EXPECT_THAT(cache.find(names), IsEmpty());
    cache.add(
        {{"commits/a", bytes_of("one")}, {"commits/c", bytes_of("three")}, {"commitsx", bytes_of("other")}});
    cache.add({{"commits/a", bytes_of("anew")}});
    EXPECT_THAT(cache.find(names),
                ElementsAre(Pair("commits/a", bytes_of("anew")), Pair("commits/c", bytes_of("three"))));
    ObjectCache another(file, silent_logger());
    EXPECT_THAT(another.find(names), SizeIs(2));
    another.keep_only("commits/", std::vector<std::string>{"commits/b", "commits/c"});
    EXPECT_THAT(cache.find(names), ElementsAre(Pair("commits/c", bytes_of("three"))));
    EXPECT_THAT(cache.find(std::vector<std::string>{"commitsx"}), SizeIs(1));
    cache.add({{"commits/b", Bytes(ObjectCache::largest_object_bytes + 1)}});
    EXPECT_THAT(cache.find(names), SizeIs(1));
}

TEST_F(ObjectCacheTest, WithoutAFileItHindersNobody) {
    std::ofstream(directory / "in the way").put('x');
    ObjectCache nowhere(directory / "in the way/objects.sqlite", silent_logger());
    nowhere.add({{"commits/a", bytes_of("one")}});
    nowhere.keep_only("commits/", {});
    EXPECT_THAT(nowhere.find(std::vector<std::string>{"commits/a"}), IsEmpty());
}

TEST_F(ObjectCacheTest, ADamagedFileIsRemovedAndBegunAnew) {
    cache.add({{"commits/a", bytes_of("one")}});
    std::ofstream(directory / "other.sqlite") << std::string(8192, 'x');
    const std::string other = directory / "other.sqlite";
    const std::vector<std::string> names{"commits/a"};
    {
        ObjectCache damaged(other, silent_logger());
        EXPECT_THAT(damaged.find(names), IsEmpty());
        damaged.add({{"commits/a", bytes_of("one")}});
        EXPECT_THAT(damaged.find(names), IsEmpty());
    }
    ObjectCache anew(other, silent_logger());
    anew.add({{"commits/a", bytes_of("one")}});
    EXPECT_THAT(anew.find(names), SizeIs(1));
}

TEST_F(ObjectCacheTest, WhatWasReadIsNotAskedForAgain) {
    std::vector<Snapshot> snapshots;
    for (tiny::Content content = 1; content <= 70; ++content) snapshots.push_back(back_up("home", {content}));
    const auto shared = std::shared_ptr<Store>(&store, [](Store*) {});
    NotingStore noting(shared);
    const RepositoryContext context{noting, admin->ring, admin->trust, clock, random, {}, &cache, 8};
    EXPECT_THAT(list_snapshots(context).snapshots, SizeIs(70));
    EXPECT_THAT(noting.read(), SizeIs(70));
    const SnapshotList again = list_snapshots(context);
    EXPECT_THAT(again.snapshots, SizeIs(70));
    EXPECT_EQ(again.snapshots, list_snapshots(writer()).snapshots);
    EXPECT_THAT(noting.read(), IsEmpty());

    const Snapshot newest = back_up("home", {1});
    EXPECT_THAT(list_snapshots(context).snapshots, SizeIs(71));
    EXPECT_THAT(noting.read(), ElementsAre(commit_name(newest.id)));

    // One that went is not listed from here, and is forgotten here.
    store.objects.erase(commit_name(snapshots[3].id));
    EXPECT_THAT(list_snapshots(context).snapshots, SizeIs(70));
    EXPECT_THAT(cache.find(std::vector<std::string>{commit_name(snapshots[3].id)}), IsEmpty());
    EXPECT_THAT(noting.read(), IsEmpty());
}

TEST_F(ObjectCacheTest, WhatIsKeptIsJudgedAsWhatIsRead) {
    const Snapshot one = back_up("home", {1});
    const Snapshot two = back_up("home", {2});
    const std::string name = commit_name(one.id);
    const RepositoryContext context{store, admin->ring, admin->trust, clock, random, {}, &cache, 8};
    // Somebody put other things there: the store's word counts.
    cache.add({{name, bytes_of("rubbish")}, {commit_name(two.id), store.objects.at(name)}});
    EXPECT_THAT(list_snapshots(context).snapshots, UnorderedElementsAre(one, two));
    // What cannot be opened is not kept.
    cache.keep_only(std::string(commits_prefix), {});
    store.objects.at(name).back() ^= Byte{1};
    EXPECT_THAT(list_snapshots(context).damaged, ElementsAre(name));
    EXPECT_THAT(cache.find(std::vector<std::string>{name}), IsEmpty());
}

TEST_F(ObjectCacheTest, StatementsAreKeptToo) {
    const Snapshot snapshot = back_up("home", {1});
    const auto shared = std::shared_ptr<Store>(&store, [](Store*) {});
    NotingStore noting(shared);
    const RepositoryContext context{noting, admin->ring, admin->trust, clock, random, {}, &cache, 8};
    Statement tag;
    tag.type = StatementType::tag;
    tag.snapshot = snapshot.id;
    tag.name = "reason";
    tag.value = "because";
    tag.time = clock.now();
    for (int i = 0; i < 3; ++i) put_statement(writer(), tag);
    EXPECT_THAT(list_statements(context).statements, SizeIs(3));
    EXPECT_THAT(noting.read(), SizeIs(3));
    EXPECT_THAT(list_statements(context).statements, SizeIs(3));
    EXPECT_THAT(noting.read(), IsEmpty());
}

} // namespace
} // namespace holdfast
