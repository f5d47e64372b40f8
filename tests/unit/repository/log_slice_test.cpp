// Slices of a log: what is written is read back by whoever may, what was touched is refused.
#include "base/error.h"
#include "repository/log/log_reader.h"
#include "repository/log/log_writer.h"
#include "repository/log/proven_path.h"
#include "repository/object.h"
#include "repository/signed_by.h"
#include "support/made_slice.h"
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
        writer = std::make_unique<Unlocked>(open(2, cached()));
        pruner = std::make_unique<Unlocked>(open(3));
        *admin = unlock(store, passphrase(), {});
    }
    RepositoryContext context_of(const Unlocked& holder) {
        return {store, holder.ring, holder.trust, clock, random};
    }
    static ArchiveId archive_of(const Unlocked& holder, std::string_view system = "7123") {
        const std::string& domain = holder.ring.domain();
        return archive_id(domain_id(domain), filled_secret(9).view(), "orders", system);
    }
    LogSliceId write(const Unlocked& holder, const LogRange& range, ByteView content, ByteView details = {},
                     ByteView summary = {}) {
        const RepositoryContext context = context_of(holder);
        LogWriter log(context, archive_of(holder), 1);
        Compressor compressor;
        const SealedSlice slice = log.seal({range, content, details, summary}, compressor);
        log.put(slice);
        return slice.id;
    }

    // Signed by `holder`, in whatever archive.
    LogSliceId forge(const Unlocked& holder, LogSliceId id) {
        const RunContext run = holder.ring.begin_run(random);
        id.run = run.id();
        store.put(id.name(), make_slice(run, id, {some_log(id.range.end - id.range.begin)}, clock.now()));
        return id;
    }
    UnlockOptions cached() {
        UnlockOptions with_cache;
        with_cache.cache = cache;
        return with_cache;
    }

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
    EXPECT_EQ(code_of([&] { LogWriter(theirs, archive_of(*pruner), 1); }), ErrorCode::wrong_key);
}

TEST_F(LogSliceTest, IsWrittenInItsOwnDomain) {
    for (const Unlocked* holder : {writer.get(), admin.get()}) {
        const RepositoryContext theirs = context_of(*holder);
        const ArchiveId other = archive_of(holder == admin.get() ? *writer : *admin);
        EXPECT_EQ(code_of([&] { LogWriter(theirs, other, 1); }), ErrorCode::access_denied);
    }
}

// An agent may put what it likes into the store; who reads refuses what is not of its domain, without any
// key.
TEST_F(LogSliceTest, OfAWriterOfAnotherDomainIsRefused) {
    add(Role::write, 4, "stranger", "web");
    const Unlocked stranger = open(4, cached());
    *admin = unlock(store, passphrase(), {});
    const LogSliceId forged = forge(stranger, {archive_of(*writer), {1, 0, 1000}, {}, 0});
    const RepositoryContext all = context_of(*admin);
    const LogReader reader(all);
    EXPECT_EQ(code_of([&] { reader.info(forged); }), ErrorCode::access_denied);
    EXPECT_EQ(code_of([&] { reader.summary(forged); }), ErrorCode::access_denied);
    EXPECT_EQ(code_of([&] { reader.content(forged); }), ErrorCode::access_denied);
    EXPECT_EQ(code_of([&] { reader.check(forged); }), ErrorCode::access_denied);
    EXPECT_EQ(code_of([&] { reader.check_beginning(forged); }), ErrorCode::access_denied);
    // What may be written by all who hold everything is not affected.
    const LogSliceId of_admin = forge(*admin, {archive_of(*writer), {1, 0, 1000}, {}, 0});
    reader.check(of_admin);
    reader.info(of_admin);
}

// A slice in the name of another slot: whoever seals to public keys makes what decrypts, and signs in vain.
TEST_F(LogSliceTest, InTheNameOfAnotherSlotItIsRefused) {
    add(Role::write, 4, "stranger", "web");
    const Unlocked stranger = open(4, cached());
    *admin = unlock(store, passphrase(), {});
    const LogSliceId forged = forge(stranger, {archive_of(*writer), {1, 0, 1000}, {}, 0});
    Bytes& object = store.objects.at(forged.name());
    std::ranges::copy(writer->ring.slot().bytes, object.begin() + 8);
    const RepositoryContext all = context_of(*admin);
    const LogReader reader(all);
    EXPECT_EQ(code_of([&] { reader.info(forged); }), ErrorCode::corrupt);
    EXPECT_EQ(code_of([&] { reader.summary(forged); }), ErrorCode::corrupt);
    EXPECT_EQ(code_of([&] { reader.check_beginning(forged); }), ErrorCode::corrupt);
    EXPECT_EQ(code_of([&] { reader.content(forged); }), ErrorCode::corrupt);
}

// Whoever has the structure key of a run could encrypt another summary for it.
TEST_F(LogSliceTest, ASummaryIsTheOneThatWasSigned) {
    const LogSliceId one = write(*admin, {1, 0, 100}, some_log(100), {}, some_log(5'000));
    const RepositoryContext all = context_of(*admin);
    const ObjectHeader header = read_object_header(one.name(), store.objects.at(one.name()));
    const auto structure = admin->ring.structure_secret_for(*header.envelope);
    Bytes& object = store.objects.at(one.name());
    const MutableByteView body = MutableByteView(object).subspan(header.body_offset);
    const SliceHeader parts =
        SliceHeader::parse(body.first(slice_header_bytes), header.body_bytes, one.name());
    Aead aead(object_key(structure->view(), ObjectKind::log_slice, one.name()).view());
    const Bytes associated = slice_part_data(one.name(), parts);
    const MutableByteView stored = body.subspan(parts.summary_offset(), parts.summary_bytes);
    Bytes plain(stored.size() - aead_tag_bytes);
    ASSERT_TRUE(aead.open(slice_summary_part, associated, stored, plain));
    plain.back() ^= 1; // of the checksum of zstd, or of its last block
    aead.seal(slice_summary_part, associated, plain, stored);
    EXPECT_EQ(code_of([&] { LogReader(all).summary(one); }), ErrorCode::corrupt);
    LogReader(all).info(one);
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

TEST_F(LogSliceTest, HasAsManyBytesAsItsNameSays) {
    const RunContext run = admin->ring.begin_run(random);
    const RepositoryContext all = context_of(*admin);
    const LogReader reader(all);
    for (const std::uint64_t claimed : {0U, 99U, 101U, 5000U}) {
        const LogSliceId id{archive_of(*admin), {1, 0, claimed}, run.id(), 0};
        store.put(id.name(), make_slice(run, id, {some_log(100)}, clock.now()));
        EXPECT_EQ(code_of([&] { reader.content(id); }), ErrorCode::corrupt) << claimed;
        EXPECT_EQ(code_of([&] { reader.info(id); }), ErrorCode::corrupt) << claimed;
    }
}

TEST_F(LogSliceTest, ADigestIsOfTheContent) {
    add(Role::full, 5, "second", "office");
    const Unlocked second = open(5);
    *admin = unlock(store, passphrase(), {});
    const RunContext run = second.ring.begin_run(random);
    const LogSliceId id{archive_of(second), {1, 0, 100}, run.id(), 0};
    MadeSlice made{.content = some_log(100)};
    store.put(id.name(), make_slice(run, id, made, clock.now()));
    made.digest = slice_digest(second.ring.identity_key().view(), made.content);
    const LogSliceId right{archive_of(second), {1, 0, 100}, run.id(), 1};
    store.put(right.name(), make_slice(run, right, made, clock.now()));
    // Also by the holder of the master key, whose own domain is another.
    for (const Unlocked* holder : {&second, static_cast<const Unlocked*>(admin.get())}) {
        const RepositoryContext all = context_of(*holder);
        EXPECT_EQ(code_of([&] { LogReader(all).content(id); }), ErrorCode::corrupt);
        EXPECT_EQ(LogReader(all).content(right).bytes, made.content);
    }
}

// The longest is taken first: what an outsider puts there must not stand in the way of what is true.
TEST_F(LogSliceTest, APathLeadsOverWhatCounts) {
    const LogSliceId one = write(*admin, {1, 0, 100}, some_log(100));
    const LogSliceId two = write(*admin, {1, 100, 200}, some_log(100));
    LogSliceId rubbish{archive_of(*admin), {1, 0, 1000}, one.run, 77};
    store.objects[rubbish.name()] = Bytes(10'000, 5);
    LogSliceId renamed{archive_of(*admin), {1, 50, 5000}, one.run, 78};
    store.objects[renamed.name()] = store.objects.at(one.name());
    add(Role::write, 4, "stranger", "web");
    const Unlocked stranger = open(4, cached());
    *admin = unlock(store, passphrase(), {});
    forge(stranger, {archive_of(*admin), {1, 90, 800}, {}, 0});
    const LogSliceId gone{archive_of(*admin), {1, 0, 900}, one.run, 79};
    const RepositoryContext all = context_of(*admin);
    const LogReader reader(all);
    std::vector<LogSliceId> slices = list_slices(store, archive_of(*admin));
    slices.push_back(gone);
    std::ranges::sort(slices);
    ASSERT_EQ(slices.size(), 6U);
    ProvenPaths proven(reader);
    const std::vector<PathStep> path = proven.find(slices, {1, 10, 500});
    ASSERT_EQ(path.size(), 2U);
    EXPECT_EQ(path[0].slice, one);
    EXPECT_EQ(path[1].slice, two);
    EXPECT_EQ(path[1].end, 200U);
    store.objects.erase(two.name());
    EXPECT_EQ(proven.find(slices, {1, 10, 500}).size(), 2U) << "it was asked for once";
    EXPECT_EQ(ProvenPaths(reader).find(slices, {1, 10, 500}).size(), 1U);
}

TEST_F(LogSliceTest, AreListedInOrder) {
    const LogSliceId c = write(*admin, {2, 50, 80}, some_log(30));
    const LogSliceId b = write(*admin, {1, 100, 200}, some_log(100));
    const LogSliceId a = write(*admin, {1, 0, 100}, some_log(100));
    const LogSliceId branch = write(*admin, {2, 0, 0}, {}, as_bytes("history"));
    const ArchiveId archive = archive_of(*admin);
    store.objects["logs/" + archive.hex() + "/what-is-this"] = {};
    EXPECT_THAT(list_slices(store, archive), testing::ElementsAre(a, b, branch, c));
    EXPECT_THAT(list_slices(store, archive, 80), testing::ElementsAre(a, b, branch));
    EXPECT_THAT(list_slices(store, archive, 100), testing::ElementsAre(b, branch));
    EXPECT_THAT(list_slices(store, archive_of(*admin, "7124")), testing::IsEmpty());
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
