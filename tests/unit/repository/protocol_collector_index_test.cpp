// What a collection makes of index segments.

#include "repository/index/segment_reader.h"
#include "repository/object.h"
#include "support/collector_fixture.h"

#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class CollectorIndexTest : public CollectorTest {
  protected:
    static BlobId blob(unsigned number) {
        BlobId id;
        id.bytes.fill(static_cast<Byte>(number));
        return id;
    }

    std::string put_segment(const std::vector<tiny::Content>& contents, const KeyRing& ring) {
        std::vector<IndexEntry> entries;
        for (const tiny::Content content : contents) {
            entries.push_back(
                {blob(static_cast<unsigned>(content)), {known[content].pack, known[content].frame, 0, 1}});
        }
        return put_entries(std::move(entries), ring);
    }

    std::string put_entries(std::vector<IndexEntry> entries, const KeyRing& ring,
                            const std::string& of = "default") {
        return put_entries(std::move(entries), ring.begin_run(random), of);
    }
    std::string put_entries(std::vector<IndexEntry> entries, const RunContext& run,
                            const std::string& of = "default") {
        const std::string name = index_segment_name(domain_id(of), run.id(), 0);
        SegmentIdentity identity{object_key(run.structure_secret().view(), ObjectKind::index_segment, name),
                                 name};
        const Bytes body = encode_segment(std::move(identity), entries).joined();
        store.put(name, sign_parts(ObjectKind::index_segment, name, body, run));
        return name;
    }

    // What the segment in the store says, as a writer reads it.
    std::vector<IndexEntry> entries_of(const std::string& name) {
        const Bytes object = *store.get(name, {}, {});
        check_object(name, object, writer().trust);
        const ObjectHeader header = read_object_header(name, object);
        const auto secret = admin->ring.structure_secret_for(*header.envelope);
        SegmentReader reader(std::make_shared<WindowSource>(std::make_shared<MemorySource>(object, name),
                                                            header.body_offset, header.body_bytes),
                             {object_key(secret->view(), ObjectKind::index_segment, name), name});
        std::vector<IndexEntry> entries;
        SegmentCursor cursor(reader);
        while (auto entry = cursor.next()) entries.push_back(*entry);
        return entries;
    }
};

TEST_F(CollectorIndexTest, SegmentsLoseDeadEntries) {
    const Snapshot gone = back_up("home", {1, 2});
    back_up("home", {2, 3});
    const std::string others = put_segment({1, 2}, admin->ring);
    const std::string own = put_segment({1, 2}, pruner->ring);
    const std::string live = put_segment({3}, admin->ring);
    forget_snapshot(writer(), gone.id, false);
    CollectorReport report = collect();
    EXPECT_THAT(report.problems, IsEmpty());
    EXPECT_EQ(report.deleted_index_segments, 1u);
    EXPECT_TRUE(store.objects.contains(others)) << "it has a living entry, and is not ours to sign";
    EXPECT_FALSE(store.objects.contains(own));
    EXPECT_TRUE(store.objects.contains(live));
    EXPECT_THAT(names(index_prefix), SizeIs(3));
}

TEST_F(CollectorIndexTest, SmallSegmentsOfOurOwnAreJoined) {
    back_up("home", {1, 2, 3});
    const FrameAddress frame = known[1];
    const auto entry = [&](unsigned number) {
        return IndexEntry{blob(number), {frame.pack, frame.frame, number, 1}};
    };
    std::set<std::string> small;
    std::vector<IndexEntry> all;
    for (unsigned number = 1; number <= 20; ++number) {
        all.push_back(entry(number));
        small.insert(put_entries({entry(number)}, pruner->ring));
    }
    small.insert(put_entries({entry(7)}, pruner->ring)); // as one that was joined before lies there still
    std::set<std::string> kept;
    for (unsigned number = 1; number <= 8; ++number) kept.insert(put_entries({entry(number)}, admin->ring));
    const std::string damaged = put_entries({entry(30)}, pruner->ring);
    Bytes& bytes = store.objects.at(damaged);
    bytes[bytes.size() - 1] ^= Byte{1}; // its signature
    kept.insert(damaged);

    const CollectorReport report = collect();
    EXPECT_THAT(report.problems, ElementsAre(HasSubstr(damaged)));
    EXPECT_EQ(report.deleted_index_segments, small.size());
    std::vector<std::string> joined;
    for (const std::string& name : names(index_prefix))
        if (!kept.erase(name)) joined.push_back(name);
    EXPECT_THAT(kept, IsEmpty());
    ASSERT_THAT(joined, SizeIs(1));
    EXPECT_EQ(entries_of(joined.front()), all);

    // One of its size is none too many.
    EXPECT_EQ(collect().deleted_index_segments, 0u);
    EXPECT_THAT(names(index_prefix), Contains(joined.front()));
}

TEST_F(CollectorIndexTest, WhatARepairOfOursOnlyClaimsIsNotJoinedToWhatWeSay) {
    back_up("home", {1});
    std::set<std::string> claims;
    for (unsigned number = 1; number <= 10; ++number) {
        const IndexEntry entry{blob(number), {known[1].pack, known[1].frame, number, 1}};
        put_entries({entry}, admin->ring);
        claims.insert(put_entries({entry}, admin->ring.begin_structure_only_run(random)));
    }
    Progress progress;
    const CollectorReport report = collect_garbage(writer(), settings, progress);
    EXPECT_THAT(report.problems, IsEmpty());
    EXPECT_EQ(report.deleted_index_segments, 10u);
    const std::vector<std::string> now = names(index_prefix);
    EXPECT_THAT(now, SizeIs(11));
    for (const std::string& name : claims) EXPECT_THAT(now, Contains(name));
}

TEST_F(CollectorIndexTest, EachDomainHasSegmentsOfItsOwn) {
    back_up("home", {1});
    std::map<std::string, std::vector<IndexEntry>> put;
    for (unsigned number = 1; number <= 10; ++number) {
        for (const char* of : {"default", "other"}) {
            const IndexEntry entry{blob(number),
                                   {known[1].pack, known[1].frame, number, of[0] == 'd' ? 1u : 2u}};
            put_entries({entry}, pruner->ring, of);
            put[std::string(index_prefix) + domain_id(of).hex() + "/"].push_back(entry);
        }
    }
    EXPECT_THAT(collect().problems, IsEmpty());
    for (const auto& [prefix, entries] : put) {
        ASSERT_THAT(names(prefix), SizeIs(1));
        EXPECT_EQ(entries_of(names(prefix).front()), entries);
    }
}

TEST_F(CollectorIndexTest, MoreThanAreJoinedTogetherAreJoinedInParts) {
    back_up("home", {1});
    for (unsigned number = 0; number < 520; ++number)
        put_entries({IndexEntry{blob(number % 250), {known[1].pack, known[1].frame, number, 1}}},
                    pruner->ring);
    EXPECT_EQ(collect().deleted_index_segments, 520u);
    std::set<std::uint32_t> offsets;
    std::size_t entries = 0;
    for (const std::string& name : names(index_prefix)) {
        for (const IndexEntry& entry : entries_of(name)) {
            offsets.insert(entry.location.offset);
            ++entries;
        }
    }
    EXPECT_THAT(names(index_prefix), SizeIs(3));
    EXPECT_THAT(offsets, SizeIs(520));
    EXPECT_EQ(entries, 520u);
}

TEST_F(CollectorIndexTest, WhereNoneMayBeRemovedNoMoreAreMade) {
    back_up("home", {1});
    for (unsigned number = 1; number <= 10; ++number) {
        for (const char* of : {"default", "other"})
            put_entries({IndexEntry{blob(number), {known[1].pack, known[1].frame, number, 1}}}, pruner->ring,
                        of);
    }
    store.before_write = [](std::string_view verb, const std::string& name) {
        if (verb == "remove" && name.starts_with(index_prefix))
            throw Error(ErrorCode::access_denied, name + " is not to be removed");
    };
    const CollectorReport report = collect();
    EXPECT_THAT(report.problems, ElementsAre(HasSubstr("is not to be removed")));
    EXPECT_EQ(report.deleted_index_segments, 0u);
    EXPECT_THAT(names(index_prefix), SizeIs(21));
}

TEST_F(CollectorIndexTest, JoiningFailsBehindAllDeleting) {
    const Snapshot gone = back_up("home", {1});
    back_up("home", {2});
    forget_snapshot(writer(), gone.id, false);
    for (unsigned number = 1; number <= 10; ++number)
        put_entries({IndexEntry{blob(number), {known[2].pack, known[2].frame, number, 1}}}, pruner->ring);
    store.before_write = [](std::string_view verb, const std::string& name) {
        if (verb == "put" && name.starts_with(index_prefix)) throw Error(ErrorCode::no_space, "it is full");
    };
    EXPECT_EQ(code_of([&] { collect(); }), ErrorCode::no_space);
    EXPECT_THAT(names(packs_prefix), SizeIs(2));
    EXPECT_THAT(names(commits_prefix), SizeIs(1));
    EXPECT_THAT(names(intents_prefix), IsEmpty());
    EXPECT_THAT(names(index_prefix), SizeIs(10));
}

TEST_F(CollectorIndexTest, KilledWhileItJoinsNoEntryIsMissing) {
    back_up("home", {1});
    std::set<BlobId> all;
    for (unsigned number = 1; number <= 10; ++number) {
        put_entries({IndexEntry{blob(number), {known[1].pack, known[1].frame, number, 1}}}, pruner->ring);
        all.insert(blob(number));
    }
    const auto before = store.objects;
    unsigned kills = 0;
    for (bool killed = true; killed; ++kills) {
        ASSERT_LT(kills, 100u);
        store.objects = before;
        unsigned left = kills;
        store.before_write = [&](std::string_view, const std::string& name) {
            if (name.starts_with(index_prefix) && left-- == 0) throw Killed{};
        };
        try {
            collect();
            killed = false;
        } catch (const Killed&) {
        }
        store.before_write = {};
        std::set<BlobId> found;
        for (const std::string& name : names(index_prefix))
            for (const IndexEntry& entry : entries_of(name)) found.insert(entry.id);
        EXPECT_EQ(found, all) << "killed at write " << kills;
    }
    EXPECT_EQ(kills, 12u) << "at one put and ten removals, and not at all";
    EXPECT_THAT(names(index_prefix), SizeIs(1));
}

} // namespace
} // namespace holdfast
