#include "base/error.h"
#include "repository/index/segment_cache.h"
#include "unit/repository/index_support.h"

#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <thread>

#include <gtest/gtest.h>

namespace holdfast {
namespace {

namespace fs = std::filesystem;

// Holds objects in memory, counts, and answers ranges in pieces that are shorter than asked for. Whatever the
// cache does not need is an error.
class CountingStore final : public Store {
  public:
    std::map<std::string, Bytes> objects;
    std::size_t gets = 0;
    std::size_t largest_piece = SIZE_MAX;
    std::function<void()> during_get = [] {};

    std::string url() const override { return "memory:"; }
    StoreCapabilities capabilities() const override { return {}; }
    using Store::put;
    PutResult put(const std::string&, std::span<const ByteView>, const PutOptions&,
                  const CallOptions&) override {
        throw Error(ErrorCode::unsupported, "the cache does not write");
    }
    std::optional<Bytes> get(const std::string& name, ByteRange range, const CallOptions&) override {
        ++gets;
        during_get();
        const auto found = objects.find(name);
        if (found == objects.end()) return std::nullopt;
        const std::uint64_t begin = std::min<std::uint64_t>(range.offset, found->second.size());
        const std::uint64_t length =
            std::min({range.length, found->second.size() - begin, std::uint64_t{largest_piece}});
        const auto at = found->second.begin() + static_cast<std::ptrdiff_t>(begin);
        return Bytes(at, at + static_cast<std::ptrdiff_t>(length));
    }
    std::optional<ObjectInfo> head(const std::string& name, const CallOptions&) override {
        const auto found = objects.find(name);
        if (found == objects.end()) return std::nullopt;
        ObjectInfo object;
        object.name = name;
        object.size_bytes = found->second.size();
        return object;
    }
    void list(const std::string&, const std::string&, const std::function<bool(const ObjectInfo&)>&,
              const CallOptions&) override {
        throw Error(ErrorCode::unsupported, "the cache does not list");
    }
    void remove(const std::string&, const CallOptions&) override {
        throw Error(ErrorCode::unsupported, "the cache does not remove");
    }
};

class SegmentCacheTest : public testing::Test {
  protected:
    SegmentCacheTest() { directory_ = testing::TempDir() + "segment-cache-" + system_random().id<8>().hex(); }
    ~SegmentCacheTest() override { fs::remove_all(directory_); }

    std::string add_object(int number, std::size_t size) {
        const std::string name = "index/0000000000000000/run-" + std::to_string(number);
        SeededRandom random(static_cast<std::uint64_t>(number));
        random.fill(store_.objects[name] = Bytes(size));
        return name;
    }
    SegmentCache cache(std::uint64_t limit_bytes = 1 << 20) {
        return SegmentCache(directory_, {.directory_bytes = limit_bytes, .download_piece_bytes = 1000},
                            store_, clock_, silent_logger());
    }
    std::shared_ptr<const ByteSource> open(SegmentCache& cache, const std::string& name) {
        clock_.advance(std::chrono::seconds(1));
        return cache.open(name, [&](const ByteSource&) { ++checks_; }, {});
    }
    static Bytes content(const ByteSource& source) {
        Bytes bytes(source.size());
        source.read(0, bytes);
        return bytes;
    }
    std::size_t files() const {
        return static_cast<std::size_t>(
            std::distance(fs::directory_iterator(directory_), fs::directory_iterator()));
    }

    std::string directory_;
    CountingStore store_;
    FakeClock clock_{from_rfc3339("2030-01-01T00:00:00Z")};
    int checks_ = 0;
};

TEST_F(SegmentCacheTest, downloads_once_and_checks_what_it_downloads) {
    const std::string name = add_object(1, 3500);
    store_.largest_piece = 700;
    SegmentCache one = cache();
    EXPECT_EQ(content(*open(one, name)), store_.objects[name]);
    EXPECT_EQ(checks_, 1);
    const std::size_t gets = store_.gets;
    EXPECT_EQ(content(*open(one, name)), store_.objects[name]);
    // Another process.
    SegmentCache two = cache();
    EXPECT_EQ(content(*open(two, name)), store_.objects[name]);
    EXPECT_EQ(store_.gets, gets);
    EXPECT_EQ(checks_, 1);
}

TEST_F(SegmentCacheTest, what_the_store_has_not_is_nothing) {
    SegmentCache one = cache();
    EXPECT_EQ(open(one, "index/0000000000000000/none"), nullptr);
    const std::string name = add_object(1, 5000);
    store_.during_get = [&] { store_.objects.erase(name); };
    EXPECT_EQ(open(one, name), nullptr) << "deleted while it was read";
    EXPECT_EQ(files(), 0u);
}

TEST_F(SegmentCacheTest, a_download_that_is_refused_is_not_kept) {
    const std::string name = add_object(1, 100);
    SegmentCache one = cache();
    const auto refuse = [](const ByteSource&) { throw Error(ErrorCode::corrupt, "not signed"); };
    EXPECT_THROW(one.open(name, refuse, {}), Error);
    EXPECT_EQ(files(), 0u);
    EXPECT_EQ(content(*open(one, name)), store_.objects[name]);
}

TEST_F(SegmentCacheTest, an_object_that_ends_early_is_an_error) {
    const std::string name = add_object(1, 2500);
    store_.during_get = [&] { store_.objects[name].resize(1500); };
    SegmentCache one = cache();
    EXPECT_THROW(open(one, name), Error);
    EXPECT_EQ(files(), 0u);
}

TEST_F(SegmentCacheTest, files_can_vanish_at_any_time) {
    const std::string name = add_object(1, 5000);
    SegmentCache one = cache();
    const auto source = open(one, name);
    fs::remove_all(directory_);
    EXPECT_EQ(content(*source), store_.objects[name]) << "what is open stays readable";
    EXPECT_EQ(content(*open(one, name)), store_.objects[name]) << "and the rest is downloaded again";
    EXPECT_EQ(checks_, 2);
    one.remove(name);
    one.remove(name);
    EXPECT_EQ(files(), 0u);
}

TEST_F(SegmentCacheTest, a_file_that_was_cut_is_an_error_not_a_crash) {
    const std::string name = add_object(1, 5000);
    SegmentCache one = cache();
    const auto source = open(one, name);
    for (const auto& file : fs::directory_iterator(directory_)) fs::resize_file(file, 100);
    EXPECT_THROW(content(*source), Error);
}

TEST_F(SegmentCacheTest, stays_within_its_limit_and_keeps_what_was_used_last) {
    std::vector<std::string> names;
    for (int i = 0; i < 6; ++i) names.push_back(add_object(i, 1000));
    SegmentCache one = cache(4500);
    for (int i = 0; i < 4; ++i) open(one, names[static_cast<std::size_t>(i)]);
    EXPECT_EQ(one.used_bytes(), 4000u);
    open(one, names[0]); // used again
    open(one, names[4]); // pushes 1 out
    EXPECT_EQ(one.used_bytes(), 4000u);
    const std::size_t gets = store_.gets;
    for (const std::size_t i : {0U, 2U, 3U, 4U}) open(one, names[i]);
    EXPECT_EQ(store_.gets, gets);
    open(one, names[1]);
    EXPECT_GT(store_.gets, gets);
    EXPECT_LE(one.used_bytes(), 4500u);
}

TEST_F(SegmentCacheTest, one_larger_than_the_limit_is_refused) {
    const std::string name = add_object(1, 5000);
    SegmentCache one = cache(4500);
    try {
        open(one, name);
        FAIL() << "no error";
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::no_space);
        EXPECT_FALSE(error.hint().empty());
    }
}

TEST_F(SegmentCacheTest, what_was_just_put_need_not_be_downloaded) {
    SegmentCache one = cache();
    const Bytes front(10, 1);
    const Bytes rest(20, 2);
    const std::vector<ByteView> pieces{front, rest};
    one.insert("index/0000000000000000/mine", pieces);
    Bytes expected = front;
    expected.insert(expected.end(), rest.begin(), rest.end());
    EXPECT_EQ(content(*open(one, "index/0000000000000000/mine")), expected);
    EXPECT_EQ(store_.gets, 0u);
    // A directory that cannot be made hinders nobody.
    SegmentCache broken("/dev/null/cache", {}, store_, clock_, silent_logger());
    EXPECT_NO_THROW(broken.insert("index/0000000000000000/mine", pieces));
}

TEST_F(SegmentCacheTest, what_a_killed_process_left_is_cleared_away) {
    fs::create_directories(directory_);
    const std::string left = directory_ + "/index_0000000000000000_x.0011223344556677.partial";
    std::ofstream(left) << "half";
    const auto real_now = std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now());
    clock_.set_time_of_day(real_now);
    SegmentCache one = cache();
    open(one, add_object(1, 10));
    EXPECT_TRUE(fs::exists(left)) << "another process may be writing it";
    clock_.set_time_of_day(real_now + std::chrono::hours(25));
    open(one, add_object(2, 10));
    EXPECT_FALSE(fs::exists(left));
}

TEST_F(SegmentCacheTest, several_threads_and_caches_share_a_directory) {
    std::vector<std::string> names;
    for (int i = 0; i < 8; ++i) names.push_back(add_object(i, 1000));
    SegmentCache one = cache(3500);
    std::vector<std::jthread> threads;
    for (std::uint64_t t = 0; t < 4; ++t) {
        threads.emplace_back([&, t] {
            SeededRandom random(t);
            for (int i = 0; i < 200; ++i) {
                const std::string& name = names[random.below(names.size())];
                const auto source = one.open(name, [](const ByteSource&) {}, {});
                ASSERT_NE(source, nullptr);
                EXPECT_EQ(content(*source), store_.objects.at(name));
            }
        });
    }
    threads.clear();
    EXPECT_LE(one.used_bytes(), 3500u);
}

} // namespace
} // namespace holdfast
