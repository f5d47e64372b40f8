#include "repository/content/indexed_blobs.h"
#include "store/store_decorator.h"
#include "support/content_repository.h"
#include "support/sparse_content.h"

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

// A write-only machine has no key to prove what others claim of its domain, and none to read their segments.
TEST_F(IndexedBlobsTest, AWriteOnlyMachineReadsNoSegmentsOfOthers) {
    Unlocked admin = unlock(*files_.store, ContentRepository::credential());
    const Credential agent_key = Credential::key_file(key_file_of(9));
    NewSlot slot;
    slot.label = "agent";
    slot.role = Role::write;
    slot.credential = &agent_key;
    KeySlots(*files_.store, files_.clock, files_.random, admin).add(slot);
    files_.reopen();

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
