#include "crypto/hash.h"
#include "repository/content/indexed_blobs.h"
#include "repository/index/segment_writer.h"
#include "repository/protocol/protocol_object.h"
#include "store/fault_store.h"
#include "store/store_decorator.h"
#include "support/content_repository.h"
#include "support/sparse_content.h"
#include "support/tiny_backup.h"

#include <fstream>

#include <gtest/gtest.h>

namespace holdfast {
namespace {

using test::ContentRepository;
using test::SparseContent;
using test::SparseSource;

// Counts what is read of index segments.
class CountingStore final : public StoreDecorator {
  public:
    explicit CountingStore(std::shared_ptr<Store> inner) : StoreDecorator(std::move(inner)) {}
    std::uint64_t index_bytes = 0;

  protected:
    void around(StoreCall& call, const std::function<void()>& body) override {
        body();
        if (call.verb == StoreVerb::get && call.name.starts_with(index_prefix))
            index_bytes += call.received_bytes;
    }
};

class IndexedBlobsTest : public testing::Test {
  protected:
    IndexedBlobsTest()
        : files_(1, [this](std::shared_ptr<Store> inner) {
              return store_ = std::make_shared<CountingStore>(std::move(inner));
          }) {}

    IndexedBlobs blobs(Repository& repository, RunContext& run, WriterSession& session,
                       const std::string& cache) {
        return IndexedBlobs({repository.context(), run, session, repository.packs(), silent_logger(),
                             repository.keys().domain(), cache, files_.scratch.path().string()});
    }
    static BlobId id_of(std::uint64_t number) {
        BlobId id;
        SeededRandom(number).fill(id.bytes);
        return id;
    }

    // Adds a write-only machine of the domain; returns what opens it.
    Credential add_agent() {
        Unlocked admin = unlock(*files_.store, ContentRepository::credential());
        Credential agent_key = Credential::key_file(key_file_of(9));
        NewSlot slot;
        slot.label = "agent";
        slot.role = Role::write;
        slot.credential = &agent_key;
        KeySlots(*files_.store, files_.clock, files_.random, admin).add(slot);
        files_.reopen();
        return agent_key;
    }
    Bytes content_of(const TreeEntry& entry) {
        Bytes bytes;
        for (const Extent& extent : std::get<Extents>(entry.content)) {
            const Bytes frame = files_.repository->packs().read_frame(extent.frame);
            const ByteView part = ByteView(frame).subspan(extent.frame_offset, extent.length);
            bytes.insert(bytes.end(), part.begin(), part.end());
        }
        return bytes;
    }

    std::shared_ptr<CountingStore> store_;
    ContentRepository files_;
};

// Whether the cache can be used or not, all that waits is put, and then nothing is due any more.
TEST_F(IndexedBlobsTest, PutsAllSegmentsThatAreDue) {
    const std::string no_directory = files_.scratch.file("taken");
    std::ofstream(no_directory) << "a file where the cache should be";
    for (const std::string& cache : {files_.scratch.file("cache"), no_directory}) {
        RunContext run = files_.repository->keys().begin_run(files_.random);
        const auto session =
            WriterSession::begin(files_.repository->context(), run, "test", Duration::zero());
        IndexedBlobs known = blobs(*files_.repository, run, *session, cache);
        const PackId pack{run.id(), 0, data_pack, 0};
        constexpr std::uint32_t count = 450'000;
        for (std::uint32_t i = 0; i < count; ++i) {
            ASSERT_FALSE(known.find(id_of(i), 100));
            known.add(id_of(i), {{pack, i}, 0, 100});
        }
        known.pack_stored(pack);
        EXPECT_TRUE(known.segment_due());
        const std::size_t before = files_.memory->list_all(std::string(index_prefix)).size();
        known.put_segments();
        EXPECT_FALSE(known.segment_due());
        const std::size_t after = files_.memory->list_all(std::string(index_prefix)).size();
        EXPECT_GT(after, before);
        for (std::uint32_t i = 0; i < count; i += 9'973) {
            const std::optional<Location> found = known.find(id_of(i), 100);
            ASSERT_TRUE(found);
            EXPECT_EQ(found->frame.frame, i);
        }
        known.put_segments();
        EXPECT_EQ(files_.memory->list_all(std::string(index_prefix)).size(), after) << "nothing was left";
    }
}

// Between its checkpoints a run makes findable what it stored: by one segment that takes the place of
// another, and, where the store lets nobody remove it, by few.
TEST_F(IndexedBlobsTest, NamesEarlyWhatLiesInStoredPacks) {
    std::uint32_t round = 0;
    for (const std::optional<ErrorCode> refusal :
         {std::optional<ErrorCode>{}, {ErrorCode::access_denied}, {ErrorCode::unsupported}}) {
        const bool removes = !refusal;
        auto faults = std::make_shared<FaultStore>(files_.memory);
        if (!removes)
            faults->plan({.kind = FaultKind::fail_before,
                          .verb = StoreVerb::remove,
                          .name_prefix = std::string(index_prefix),
                          .times = 1'000,
                          .error = Error(*refusal, "nobody removes here")});
        files_.reopen();
        const RepositoryContext context = files_.repository->context().through(*faults);
        RunContext run = files_.repository->keys().begin_run(files_.random);
        const auto session = WriterSession::begin(context, run, "test", Duration::zero());
        IndexedBlobs known({context,
                            run,
                            *session,
                            files_.repository->packs(),
                            silent_logger(),
                            files_.repository->keys().domain(),
                            files_.scratch.file("early"),
                            files_.scratch.path().string(),
                            {},
                            Duration::zero()});
        const auto segments = [&] {
            std::vector<std::string> names = list_names(*files_.memory, index_prefix);
            std::erase_if(names,
                          [&](const std::string& name) { return parse_name(name)->owner != run.id(); });
            return names;
        };
        constexpr std::uint32_t packs = 200;
        for (std::uint32_t i = 0; i < packs; ++i) {
            const BlobId id = id_of(1'000 + i + round * packs);
            ASSERT_FALSE(known.find(id, 100));
            known.add(id, {{{run.id(), i, data_pack, 0}, 0}, 0, 100});
            known.pack_stored({run.id(), i, data_pack, 0});
            if (i < 4) {
                EXPECT_TRUE(segments().empty());
            } else if (removes) {
                ASSERT_EQ(segments().size(), 1u) << i;
            }
        }
        if (!removes) {
            EXPECT_GT(segments().size(), 30u);
            EXPECT_LT(segments().size(), 50u) << "each has a part of what there is";
        }
        known.put_segments();
        if (removes) {
            EXPECT_EQ(segments().size(), 1u) << "the lasting one";
        }
        std::uint64_t bytes = 0;
        for (const std::string& name : segments()) bytes += files_.memory->list_all(name).front().size_bytes;
        EXPECT_EQ(known.stored_bytes(), bytes);
        for (std::uint32_t i = 0; i < packs; ++i)
            EXPECT_TRUE(known.find(id_of(1'000 + i + round * packs), 100)) << i;
        ++round;
    }
}

// A write-only machine has no key to prove what others claim of its domain, and none to read their segments.
TEST_F(IndexedBlobsTest, AWriteOnlyMachineReadsNoSegmentsOfOthers) {
    const Credential agent_key = add_agent();
    const SparseContent content = SparseContent::of(Bytes(100'000, 3));
    const auto back_up = [&] {
        const std::unique_ptr<BackupRun> run = files_.begin();
        SparseSource source(content);
        files_.commit(*run, {ContentRepository::entry_of("a", run->files().write(source, nullptr, {}))});
        return run->writer().totals().new_bytes;
    };
    EXPECT_EQ(back_up(), content.size());
    const std::uint64_t segment_size = files_.memory->list_all(std::string(index_prefix)).front().size_bytes;
    ASSERT_GT(segment_size, object_header_limit_bytes);

    files_.repository = files_.open(agent_key, "agent-cache");
    store_->index_bytes = 0;
    EXPECT_EQ(back_up(), content.size()) << "it stores again what it cannot prove";
    EXPECT_EQ(store_->index_bytes, object_header_limit_bytes);
}

// Of what another slot claims, and of what a repair by this one has gathered of it, only that is used which
// the frame holds.
TEST_F(IndexedBlobsTest, AFalseClaimIsNotUsed) {
    const Unlocked agent = unlock(*files_.store, add_agent());
    const Unlocked admin = unlock(*files_.store, ContentRepository::credential());
    for (const bool gathered : {false, true}) {
        Bytes here(100'000);
        Bytes not_here(150'000);
        files_.random.fill(here);
        files_.random.fill(not_here);
        const RunContext run = agent.ring.begin_run(files_.random);
        tiny::TinyPack pack(run, 0, data_pack);
        std::vector<IndexEntry> entries;
        const auto claim = [&](const Bytes& content, const Bytes& stored) {
            const BlobId id = keyed_hash<24>(agent.ring.identity_key().view(), content);
            const FrameAddress frame = pack.add(stored, BlobType::data, id);
            entries.push_back({id, {frame.pack, frame.frame, 0, static_cast<std::uint32_t>(stored.size())}});
        };
        claim(here, here);
        claim(not_here, Bytes(not_here.size(), 4));
        pack.put(*files_.store);
        const RunContext repair = admin.ring.begin_structure_only_run(files_.random);
        const RunContext& claims = gathered ? repair : run;
        const std::string name = index_segment_name(domain_id(agent.ring.domain()), claims.id(), 0);
        SegmentIdentity identity{
            object_key(claims.structure_secret().view(), ObjectKind::index_segment, name), name};
        files_.store->put(name, sign_parts(ObjectKind::index_segment, name,
                                           encode_segment(std::move(identity), entries).joined(), claims));

        files_.reopen();
        const std::unique_ptr<BackupRun> backup = files_.begin();
        const auto store = [&](const std::string& file, const Bytes& content) {
            const SparseContent sparse = SparseContent::of(content);
            SparseSource source(sparse);
            return ContentRepository::entry_of(file, backup->files().write(source, nullptr, {}));
        };
        const TreeEntry found = store("here", here);
        EXPECT_EQ(backup->writer().totals().new_bytes, 0U) << "otherwise no claim was looked at";
        const TreeEntry stored = store("not here", not_here);
        EXPECT_EQ(backup->writer().totals().new_bytes, not_here.size());
        files_.commit(*backup, {found, stored});
        EXPECT_EQ(content_of(found), here);
        EXPECT_EQ(content_of(stored), not_here);
    }
}

TEST_F(IndexedBlobsTest, WhatTheOwnDomainHasIsFoundWithoutACache) {
    const SparseContent content = SparseContent::of(Bytes(100'000, 3));
    for (const std::string cache : {"first", "second"}) {
        files_.repository = files_.open(ContentRepository::credential(), cache);
        const std::unique_ptr<BackupRun> run = files_.begin();
        SparseSource source(content);
        files_.commit(*run, {ContentRepository::entry_of("a", run->files().write(source, nullptr, {}))});
        EXPECT_EQ(run->writer().totals().new_bytes, cache == "first" ? content.size() : 0);
    }
}

} // namespace
} // namespace holdfast
