// Slices of a log: what is written is read back by whoever may, what was touched is refused.
#include "base/error.h"
#include "repository/log/log_reader.h"
#include "repository/log/log_writer.h"
#include "repository/object.h"
#include "repository/signed_by.h"
#include "support/repository_fixture.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast {
namespace {

Bytes some_log(std::size_t size) {
    Bytes bytes(size);
    for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<Byte>(i / 700 + i % 13);
    return bytes;
}

class LogSliceTest : public RepositoryTest {
  protected:
    LogSliceTest() {
        add(Role::write, 2, "writer", "office");
        add(Role::prune, 3, "pruner");
        UnlockOptions with_cache;
        with_cache.cache = cache;
        writer = std::make_unique<Unlocked>(open(2, with_cache));
        pruner = std::make_unique<Unlocked>(open(3));
        *admin = unlock(store, passphrase(), {});
    }
    RepositoryContext context_of(const Unlocked& holder) {
        return {store, holder.ring, holder.trust, clock, random};
    }
    LogSliceId write(const Unlocked& holder, const LogRange& range, ByteView content, ByteView details = {},
                     ByteView summary = {}) {
        const RepositoryContext context = context_of(holder);
        LogWriter log(context, archive, 1);
        Compressor compressor;
        const SealedSlice slice = log.seal({range, content, details, summary}, compressor);
        log.put(slice);
        return slice.id;
    }

    ArchiveId archive = archive_id(filled_secret(9).view(), "orders", "7123");
    std::shared_ptr<MapRunSecretCache> cache = std::make_shared<MapRunSecretCache>();
    std::unique_ptr<Unlocked> writer, pruner;
};

TEST_F(LogSliceTest, IsReadBackByWhoMay) {
    const Bytes content = some_log(3'500'000);
    const Bytes details{1, 2, 3}, summary = some_log(100'000);
    const LogSliceId id = write(*writer, {1, 0x1000, 0x1000 + content.size()}, content, details, summary);

    const RepositoryContext all = context_of(*admin);
    const LogReader reader(all);
    const LogReader::Content read = reader.content(id);
    EXPECT_EQ(read.bytes, content);
    EXPECT_EQ(read.info.details, details);
    EXPECT_EQ(read.info.content_bytes(), content.size());
    EXPECT_EQ(read.info.written, clock.now());
    EXPECT_EQ(reader.info(id), read.info);
    EXPECT_EQ(reader.summary(id), summary);

    // Structure is enough for what slices say of themselves, and gives no content.
    for (const Unlocked* holder : {writer.get(), pruner.get()}) {
        const RepositoryContext some = context_of(*holder);
        EXPECT_EQ(LogReader(some).info(id), read.info);
        EXPECT_EQ(LogReader(some).summary(id), summary);
        EXPECT_EQ(code_of([&] { LogReader(some).content(id); }), ErrorCode::wrong_key);
        LogReader(some).check(id);
    }
}

TEST_F(LogSliceTest, OfNoContentSaysSomethingOfABranch) {
    const LogSliceId id = write(*admin, {2, 0, 0}, {}, as_bytes("history"));
    const RepositoryContext all = context_of(*admin);
    EXPECT_EQ(as_text(LogReader(all).info(id).details), "history");
    EXPECT_TRUE(LogReader(all).content(id).bytes.empty());
    EXPECT_TRUE(LogReader(all).summary(id).empty());
}

TEST_F(LogSliceTest, EveryByteCounts) {
    const Bytes content = some_log(5'000);
    const LogSliceId id =
        write(*admin, {1, 0, content.size()}, content, as_bytes("details"), as_bytes("summary"));
    const RepositoryContext all = context_of(*admin);
    const LogReader reader(all);
    Bytes& object = store.objects.at(id.name());
    for (std::size_t i = 0; i < object.size(); i += 1 + i / 150) {
        object[i] ^= 0x40;
        EXPECT_THROW(reader.content(id), Error) << i;
        EXPECT_THROW(reader.check(id), Error) << i;
        object[i] ^= 0x40;
    }
    for (const std::size_t size : {object.size() - 1, object.size() / 2, std::size_t{60}, std::size_t{3}}) {
        const Bytes whole = object;
        object.resize(size);
        EXPECT_THROW(reader.content(id), Error) << size;
        EXPECT_THROW((reader.info(id), reader.check(id)), Error) << size;
        object = whole;
    }
    EXPECT_EQ(reader.content(id).bytes, content);
}

TEST_F(LogSliceTest, UnderAnotherNameItIsRefused) {
    const LogSliceId id = write(*admin, {1, 0, 100}, some_log(100));
    LogSliceId other = id;
    other.range = {1, 100, 200};
    store.objects[other.name()] = store.objects.at(id.name());
    const RepositoryContext all = context_of(*admin);
    EXPECT_EQ(code_of([&] { LogReader(all).content(other); }), ErrorCode::corrupt);
    EXPECT_EQ(code_of([&] { LogReader(all).info(other); }), ErrorCode::corrupt);
}

TEST_F(LogSliceTest, OfWhomMayNotWriteItIsRefused) {
    const RepositoryContext theirs = context_of(*pruner);
    EXPECT_EQ(code_of([&] { LogWriter(theirs, archive, 1); }), ErrorCode::wrong_key);
}

TEST_F(LogSliceTest, OfARemovedWriterStillCounts) {
    const Bytes content = some_log(10'000);
    const LogSliceId before = write(*writer, {1, 0, content.size()}, content);
    EXPECT_TRUE(signed_by(store, admin->trust, writer->ring.slot()).runs.contains(before.run));
    slots->remove(writer->ring.slot());
    const LogSliceId after = write(*writer, {1, 0, content.size()}, content);
    const Unlocked now = unlock(store, passphrase(), {});
    const RepositoryContext all = context_of(now);
    EXPECT_EQ(LogReader(all).content(before).bytes, content);
    EXPECT_EQ(code_of([&] { LogReader(all).content(after); }), ErrorCode::access_denied);
    EXPECT_EQ(code_of([&] { LogReader(all).info(after); }), ErrorCode::access_denied);
}

TEST_F(LogSliceTest, EqualContentsOfADomainHaveOneDigest) {
    const Bytes content = some_log(10'000);
    const LogSliceId one = write(*writer, {1, 0, content.size()}, content);
    const LogSliceId two = write(*writer, {1, 0, content.size()}, content);
    const LogSliceId other_domain = write(*admin, {1, 0, content.size()}, content);
    const RepositoryContext all = context_of(*admin);
    const LogReader reader(all);
    EXPECT_EQ(reader.info(one).digest, reader.info(two).digest);
    EXPECT_NE(reader.info(one).digest, reader.info(other_domain).digest);
    EXPECT_NE(one, two);
}

TEST_F(LogSliceTest, AreListedInOrder) {
    const LogSliceId c = write(*admin, {2, 50, 80}, some_log(30));
    const LogSliceId b = write(*admin, {1, 100, 200}, some_log(100));
    const LogSliceId a = write(*admin, {1, 0, 100}, some_log(100));
    const LogSliceId branch = write(*admin, {2, 0, 0}, {}, as_bytes("history"));
    store.objects["logs/" + archive.hex() + "/what-is-this"] = {};
    EXPECT_THAT(list_slices(store, archive), testing::ElementsAre(a, b, branch, c));
    EXPECT_THAT(list_slices(store, archive, 80), testing::ElementsAre(a, b, branch));
    EXPECT_THAT(list_slices(store, archive, 100), testing::ElementsAre(b, branch));
    EXPECT_THAT(list_slices(store, archive_id(filled_secret(9).view(), "orders", "7124")),
                testing::IsEmpty());
}

TEST(SliceInfo, RefusesRubbish) {
    SliceInfo info;
    info.frames = {{500, slice_frame_bytes, Codec::zstd}, {20, 4, Codec::stored}};
    info.details = {1, 2};
    const Bytes good = encode_slice_info(info);
    EXPECT_EQ(decode_slice_info(good, "x"), info);
    for (std::size_t cut = 0; cut < good.size(); ++cut)
        EXPECT_THROW(decode_slice_info(ByteView(good).first(cut), "x"), Error) << cut;
    Bytes longer = good;
    longer.push_back(0);
    EXPECT_THROW(decode_slice_info(longer, "x"), Error);
    info.frames = {{20, 4, Codec::stored}, {500, slice_frame_bytes, Codec::zstd}};
    EXPECT_THROW(decode_slice_info(encode_slice_info(info), "x"), Error);
    info.frames = {{16, 0, Codec::stored}};
    EXPECT_THROW(decode_slice_info(encode_slice_info(info), "x"), Error);
}

} // namespace
} // namespace holdfast
