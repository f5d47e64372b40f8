// What is kept of commits and statements on the local disk.

#include "repository/json_form.h"
#include "repository/protocol/object_cache.h"
#include "repository/protocol/statement.h"
#include "store/store_decorator.h"
#include "support/collector_fixture.h"
#include "support/content_repository.h"
#include "support/temporary_directory.h"

#include <filesystem>
#include <fstream>

#include <SQLiteCpp/SQLiteCpp.h>
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

ObjectInfo info(const std::string& name, const std::string& token = "1") {
    ObjectInfo result;
    result.name = name;
    result.token = token;
    return result;
}

class ObjectCacheTest : public CollectorTest {
  protected:
    test::TemporaryDirectory directory;
    const std::string file = directory / "cache/objects.sqlite";
    ObjectCache cache{file, silent_logger()};

    // As the store lists it.
    ObjectInfo listed(const std::string& name) { return store.list_all(name).at(0); }
};

TEST_F(ObjectCacheTest, KeepsWhatItIsGivenUntilItIsToldOtherwise) {
    const std::vector<ObjectInfo> all{info("commits/a"), info("commits/b"), info("commits/c")};
    EXPECT_THAT(cache.find(all), IsEmpty());
    cache.add(
        {{all[0], bytes_of("one")}, {all[2], bytes_of("three")}, {info("commitsx"), bytes_of("other")}});
    cache.add({{all[0], bytes_of("anew")}});
    EXPECT_THAT(cache.find(all),
                ElementsAre(Pair("commits/a", bytes_of("anew")), Pair("commits/c", bytes_of("three"))));
    ObjectCache another(file, silent_logger());
    EXPECT_THAT(another.find(all), SizeIs(2));
    another.keep_only("commits/", std::vector<ObjectInfo>{all[1], all[2]});
    EXPECT_THAT(cache.find(all), ElementsAre(Pair("commits/c", bytes_of("three"))));
    EXPECT_THAT(cache.find(std::vector<ObjectInfo>{info("commitsx")}), SizeIs(1));
    cache.add({{all[1], Bytes(ObjectCache::largest_object_bytes + 1)}});
    EXPECT_THAT(cache.find(all), SizeIs(1));
}

TEST_F(ObjectCacheTest, AnObjectThatIsListedOtherwiseIsNotFound) {
    cache.add({{info("commits/a", "5"), bytes_of("one")}, {info("commits/b", ""), bytes_of("two")}});
    EXPECT_THAT(cache.find(std::vector<ObjectInfo>{info("commits/a", "5")}), SizeIs(1));
    EXPECT_THAT(cache.find(std::vector<ObjectInfo>{info("commits/a", "6"), info("commits/a", "")}),
                IsEmpty());
    EXPECT_THAT(cache.find(std::vector<ObjectInfo>{info("commits/b", "")}), IsEmpty())
        << "nothing tells when it changes";
}

TEST_F(ObjectCacheTest, WithoutAFileItHindersNobody) {
    std::ofstream(directory / "in the way").put('x');
    ObjectCache nowhere(directory / "in the way/objects.sqlite", silent_logger());
    nowhere.add({{info("commits/a"), bytes_of("one")}});
    nowhere.keep_only("commits/", {});
    EXPECT_THAT(nowhere.find(std::vector<ObjectInfo>{info("commits/a")}), IsEmpty());
}

TEST_F(ObjectCacheTest, ADamagedFileIsRemovedAndBegunAnew) {
    const std::vector<ObjectInfo> all{info("commits/a")};
    const std::string other = directory / "other.sqlite";
    const auto expect_anew = [&] {
        {
            ObjectCache damaged(other, silent_logger());
            damaged.add({{all[0], bytes_of("one")}});
            EXPECT_THAT(damaged.find(all), IsEmpty());
            damaged.add({{all[0], bytes_of("one")}});
            EXPECT_THAT(damaged.find(all), SizeIs(1));
        }
        ObjectCache anew(other, silent_logger());
        EXPECT_THAT(anew.find(all), SizeIs(1));
        std::filesystem::remove(other);
    };
    std::ofstream(other) << std::string(8192, 'x');
    expect_anew();
    // Of another version of this program.
    SQLite::Database(other, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE)
        .exec("CREATE TABLE objects (name TEXT PRIMARY KEY, another TEXT)");
    expect_anew();
}

TEST_F(ObjectCacheTest, AFileThatOthersTookAwayIsBegunAnew) {
    const std::vector<ObjectInfo> all{info("commits/a")};
    cache.add({{all[0], bytes_of("one")}});
    std::filesystem::remove_all(directory / "cache");
    for (int i = 0; i < 2; ++i) cache.add({{all[0], bytes_of("one")}}); // one of them may find out
    EXPECT_THAT(cache.find(all), SizeIs(1));
    EXPECT_TRUE(std::filesystem::exists(file));
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
    const ObjectInfo third = listed(commit_name(snapshots[3].id));
    ASSERT_THAT(cache.find(std::vector<ObjectInfo>{third}), SizeIs(1));
    store.objects.erase(third.name);
    EXPECT_THAT(list_snapshots(context).snapshots, SizeIs(70));
    EXPECT_THAT(cache.find(std::vector<ObjectInfo>{third}), IsEmpty());
    EXPECT_THAT(noting.read(), IsEmpty());
}

TEST_F(ObjectCacheTest, WhatIsKeptIsJudgedAsWhatIsRead) {
    const Snapshot one = back_up("home", {1});
    const Snapshot two = back_up("home", {2});
    const std::string name = commit_name(one.id);
    const RepositoryContext context{store, admin->ring, admin->trust, clock, random, {}, &cache, 8};
    // Somebody put other things there: the store's word counts.
    cache.add({{listed(name), bytes_of("rubbish")}, {listed(commit_name(two.id)), store.objects.at(name)}});
    EXPECT_THAT(list_snapshots(context).snapshots, UnorderedElementsAre(one, two));
    EXPECT_THAT(cache.find(std::vector<ObjectInfo>{listed(name)}),
                ElementsAre(Pair(name, store.objects.at(name))));
}

TEST_F(ObjectCacheTest, WhatIsWrittenOverInTheStoreIsSeen) {
    const Snapshot one = back_up("home", {1});
    const RepositoryContext context{store, admin->ring, admin->trust, clock, random, {}, &cache, 8};
    EXPECT_THAT(list_snapshots(context).snapshots, ElementsAre(one));
    const std::string name = commit_name(one.id);
    Bytes damaged = store.objects.at(name);
    damaged.back() ^= Byte{1};
    store.put(name, damaged);
    for (int i = 0; i < 2; ++i) { // what cannot be opened is not kept
        const SnapshotList list = list_snapshots(context);
        EXPECT_THAT(list.damaged, ElementsAre(name));
        EXPECT_THAT(list.snapshots, IsEmpty());
    }
}

// As of two copies of a repository, or of one that was set back: a name, and two contents that are both
// signed.
TEST_F(ObjectCacheTest, OfTwoContentsUnderANameTheListedOneCounts) {
    const Snapshot one = back_up("home", {1});
    const std::string name = commit_name(one.id);
    const RepositoryContext context{store, admin->ring, admin->trust, clock, random, {}, &cache, 8};
    const Bytes commit = store.objects.at(name);
    const RunContext other = admin->ring.begin_run(random);
    JsonWriter body;
    body.time("time", clock.now());
    store.put(name, sign_object(ObjectKind::fence, name, body.finish(), other));
    EXPECT_THAT(list_snapshots(context).fenced, ElementsAre(one.id));
    store.put(name, commit);
    EXPECT_THAT(list_snapshots(context).snapshots, ElementsAre(one));
    EXPECT_THAT(list_snapshots(context).fenced, IsEmpty());
}

TEST_F(ObjectCacheTest, WhatThisHolderCannotReadIsKeptToo) {
    back_up("home", {1});
    back_up("home", {2});
    add(Role::write, 8, "agent");
    const Unlocked agent = open(8);
    const auto shared = std::shared_ptr<Store>(&store, [](Store*) {});
    NotingStore noting(shared);
    const RepositoryContext context{noting, agent.ring, agent.trust, clock, random, {}, &cache, 8};
    for (const std::size_t asked : {2u, 0u}) {
        const SnapshotList list = list_snapshots(context);
        EXPECT_EQ(list.unreadable, 2u);
        EXPECT_THAT(list.problems, IsEmpty());
        EXPECT_THAT(noting.read(), SizeIs(asked));
    }
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

TEST(ObjectCacheOfRepository, BackupsAndPrunesGoByIt) {
    std::shared_ptr<NotingStore> noting;
    test::ContentRepository content(1, [&](std::shared_ptr<Store> inner) {
        noting = std::make_shared<NotingStore>(std::move(inner));
        return noting;
    });
    const auto commits_read = [&] {
        std::vector<std::string> read = noting->read();
        std::erase_if(read, [](const std::string& name) { return !name.starts_with(commits_prefix); });
        return read;
    };
    for (int i = 0; i < 3; ++i) content.commit(*content.begin(), {});
    commits_read();
    Snapshot fourth;
    {
        const auto run = content.begin(); // it lists the third for the first time
        EXPECT_THAT(commits_read(), SizeIs(1));
        fourth = content.commit(*run, {});
    }
    content.reopen(); // another program of this machine
    EXPECT_EQ(content.repository->find_snapshot("latest", "test"), fourth);
    EXPECT_THAT(commits_read(), ElementsAre(commit_name(fourth.id)));

    // What is deleted is decided from the store alone.
    Progress progress;
    CollectorSettings settings;
    settings.beat_interval = Duration::zero();
    collect_garbage(content.repository->context(), settings, progress);
    EXPECT_THAT(commits_read(), SizeIs(8)) << "four at both marks";
}

} // namespace
} // namespace holdfast
