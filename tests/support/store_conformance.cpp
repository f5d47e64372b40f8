#include "support/store_conformance.h"

#include "base/random.h"

#include <algorithm>
#include <atomic>
#include <thread>

#include <gmock/gmock.h>

namespace holdfast::test {

using testing::ElementsAreArray;

void PrintTo(const StoreMaker& maker, std::ostream* out) { *out << maker.label; }

std::string store_label(const testing::TestParamInfo<StoreMaker>& info) { return info.param.label; }

Bytes patterned_bytes(std::size_t size, std::uint64_t seed) {
    Bytes bytes(size);
    SeededRandom(seed).fill(bytes);
    return bytes;
}

Error thrown_error(const std::function<void()>& body) {
    try {
        body();
    } catch (const Error& error) {
        return error;
    }
    ADD_FAILURE() << "no Error was thrown";
    return Error(ErrorCode::internal, "no Error was thrown");
}

ErrorCode error_code_of(const std::function<void()>& body) { return thrown_error(body).code(); }

void StoreConformance::SetUp() { store_ = GetParam().make(); }
void StoreConformance::TearDown() { store_.reset(); }

namespace {

std::vector<std::string> names_of(Store& store, const std::string& prefix, const std::string& after = "",
                                  std::size_t limit = SIZE_MAX) {
    std::vector<std::string> names;
    store.list(prefix, after,
               [&](const ObjectInfo& object) {
                   names.push_back(object.name);
                   return names.size() < limit;
               },
               {});
    return names;
}

std::optional<Bytes> get(Store& store, const std::string& name, ByteRange range = {}) {
    return store.get(name, range, {});
}

void in_parallel(unsigned threads, const std::function<void(unsigned)>& body) {
    std::vector<std::jthread> running;
    for (unsigned i = 0; i < threads; ++i) running.emplace_back([&body, i] { body(i); });
}

Timestamp in_an_hour() {
    return std::chrono::floor<std::chrono::seconds>(system_clock().now()) + std::chrono::hours(1);
}

} // namespace

// Programs that link the suite for its helpers alone do not instantiate it.
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(StoreConformance);

TEST_P(StoreConformance, ReadsWhatWasPut) {
    for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{100'000}}) {
        const std::string name = "data/" + std::to_string(size);
        const Bytes data = patterned_bytes(size, size);
        EXPECT_EQ(store_->put(name, data), PutResult::stored);
        EXPECT_EQ(get(*store_, name), data);
    }
}

TEST_P(StoreConformance, PutsPartsOneBehindTheOther) {
    const Bytes data = patterned_bytes(70'000, 1);
    const ByteView all(data);
    const std::vector<ByteView> parts = {all.first(1), all.subspan(1, 0), all.subspan(1, 65'536),
                                         all.subspan(65'537)};
    EXPECT_EQ(store_->put("parts", parts, {}, {}), PutResult::stored);
    EXPECT_EQ(get(*store_, "parts"), data);
}

TEST_P(StoreConformance, PutsAndReadsALargeObject) {
    const Bytes data = patterned_bytes(GetParam().large_object_bytes, 2);
    const ByteView all(data);
    const std::vector<ByteView> parts = {all.first(all.size() / 3), all.subspan(all.size() / 3)};
    EXPECT_EQ(store_->put("large", parts, {}, {}), PutResult::stored);
    EXPECT_TRUE(get(*store_, "large") == data);
    const std::size_t offset = data.size() / 2 - 7;
    const Bytes middle(data.begin() + static_cast<std::ptrdiff_t>(offset),
                       data.begin() + static_cast<std::ptrdiff_t>(offset) + 1000);
    EXPECT_EQ(get(*store_, "large", {.offset = offset, .length = 1000}), middle);
    ASSERT_TRUE(store_->head("large", {}));
    EXPECT_EQ(store_->head("large", {})->size_bytes, data.size());
}

TEST_P(StoreConformance, ReadsRanges) {
    const Bytes data = patterned_bytes(1000, 3);
    store_->put("ranged", data);
    store_->put("nothing", ByteView());
    for (const ByteRange range :
         {ByteRange{0, 1}, ByteRange{0, 1000}, ByteRange{0, 5000}, ByteRange{10, 10}, ByteRange{999, 1},
          ByteRange{999, UINT64_MAX}, ByteRange{1000, 1}, ByteRange{1000, UINT64_MAX}, ByteRange{5000, 5},
          ByteRange{5, 0}, ByteRange{500, UINT64_MAX}, ByteRange{UINT64_MAX, UINT64_MAX}}) {
        const std::size_t begin = std::min<std::size_t>(range.offset, data.size());
        const std::size_t length = std::min<std::size_t>(range.length, data.size() - begin);
        const ByteView wanted = ByteView(data).subspan(begin, length);
        EXPECT_EQ(get(*store_, "ranged", range), Bytes(wanted.begin(), wanted.end()))
            << range.offset << "+" << range.length;
        EXPECT_EQ(get(*store_, "nothing", range), Bytes{}) << range.offset << "+" << range.length;
        EXPECT_EQ(get(*store_, "absent", range), std::nullopt) << range.offset << "+" << range.length;
    }
}

TEST_P(StoreConformance, TellsThatAnObjectIsAbsent) {
    EXPECT_EQ(get(*store_, "absent"), std::nullopt);
    EXPECT_EQ(get(*store_, "absent/deep/er"), std::nullopt);
    EXPECT_FALSE(store_->head("absent", {}));
    EXPECT_NO_THROW(store_->remove("absent", {}));
    EXPECT_TRUE(names_of(*store_, "").empty());
    store_->put("present/one", as_bytes("1"));
    EXPECT_EQ(get(*store_, "present"), std::nullopt);
    EXPECT_FALSE(store_->head("present", {}));
}

TEST_P(StoreConformance, DescribesObjects) {
    const Bytes data = patterned_bytes(12'345, 4);
    store_->put("described/a", data);
    store_->put("described/b", ByteView());
    const std::optional<ObjectInfo> info = store_->head("described/a", {});
    ASSERT_TRUE(info);
    EXPECT_EQ(info->name, "described/a");
    EXPECT_EQ(info->size_bytes, data.size());
    EXPECT_FALSE(info->token.empty());
    EXPECT_GT(info->modified, from_rfc3339("2024-01-01T00:00:00Z"));
    const std::vector<ObjectInfo> listed = store_->list_all("described/");
    ASSERT_EQ(listed.size(), 2U);
    EXPECT_EQ(listed[0].name, info->name);
    EXPECT_EQ(listed[0].size_bytes, info->size_bytes);
    EXPECT_EQ(listed[0].token, info->token);
    EXPECT_LT(std::chrono::abs(listed[0].modified - info->modified), std::chrono::seconds(2));
    EXPECT_EQ(listed[1].size_bytes, 0U);
    EXPECT_NE(listed[1].token, listed[0].token);
}

TEST_P(StoreConformance, PutsOnlyIfAbsent) {
    const PutOptions only_if_absent{.only_if_absent = true};
    if (!expected().put_if_absent) {
        EXPECT_EQ(error_code_of([&] { store_->put("taken", as_bytes("first"), only_if_absent); }),
                  ErrorCode::unsupported);
        EXPECT_EQ(get(*store_, "taken"), std::nullopt);
        return;
    }
    EXPECT_EQ(store_->put("taken", as_bytes("first"), only_if_absent), PutResult::stored);
    EXPECT_EQ(store_->put("taken", as_bytes("second"), only_if_absent), PutResult::already_there);
    EXPECT_EQ(get(*store_, "taken"), Bytes({'f', 'i', 'r', 's', 't'}));
    store_->remove("taken", {});
    EXPECT_EQ(store_->put("taken", as_bytes("third"), only_if_absent), PutResult::stored);
}

TEST_P(StoreConformance, LetsOneOfManyRacersWin) {
    if (!expected().put_if_absent) {
        EXPECT_FALSE(store_->capabilities().put_if_absent);
        return;
    }
    constexpr unsigned racers = 8;
    for (int round = 0; round < 5; ++round) {
        const std::string name = "race/" + std::to_string(round);
        std::atomic<int> winner = -1;
        std::atomic<int> winners = 0;
        in_parallel(racers, [&](unsigned racer) {
            const Bytes data(5000, static_cast<Byte>(racer));
            if (store_->put(name, data, {.only_if_absent = true}) == PutResult::stored) {
                winner = static_cast<int>(racer);
                ++winners;
            }
        });
        ASSERT_EQ(winners, 1);
        EXPECT_EQ(get(*store_, name), Bytes(5000, static_cast<Byte>(winner.load())));
    }
}

TEST_P(StoreConformance, TakesTheSameBytesAgain) {
    const Bytes data = patterned_bytes(1000, 5);
    EXPECT_EQ(store_->put("again", data), PutResult::stored);
    EXPECT_EQ(store_->put("again", data), PutResult::stored);
    EXPECT_EQ(get(*store_, "again"), data);
    EXPECT_EQ(names_of(*store_, "").size(), 1U);
}

TEST_P(StoreConformance, ListsInOrderOfNames) {
    std::vector<std::string> names = {"l/B",     "l/_",     "l/a-b",  "l/a.x", "l/a/b",
                                      "l/a/c/d", "l/a/c/e", "l/a/c0", "l/a0",  "l/ab",
                                      "l/z/9",   "k",       "m/0",    "l-1",   "l.2"};
    for (const std::string& name : names) store_->put(name, as_bytes(name));
    std::ranges::sort(names);
    std::vector<std::string> afters = names;
    afters.insert(afters.end(), {"", "l", "l/", "l/a", "l/a/", "l/a/c", "l/a/c/", "l/a/c/d0", "zzz", "A"});
    for (const std::string prefix :
         {"", "k", "l", "l/", "l/a", "l/a/", "l/a/c", "l/a/c/", "l/a/c/e", "l/b", "x/y/", "m/0"}) {
        for (const std::string& after : afters) {
            std::vector<std::string> wanted;
            std::ranges::copy_if(names, std::back_inserter(wanted), [&](const std::string& name) {
                return name.starts_with(prefix) && name > after;
            });
            EXPECT_THAT(names_of(*store_, prefix, after), ElementsAreArray(wanted))
                << "prefix " << prefix << " after " << after;
        }
    }
}

TEST_P(StoreConformance, ListsMany) {
    const std::size_t count = GetParam().many_objects;
    const auto name_at = [](std::size_t i) {
        const std::string number = std::to_string(100'000 + i);
        return "many/" + number.substr(0, 5) + "/" + number.substr(5);
    };
    std::atomic<std::size_t> next = 0;
    in_parallel(8, [&](unsigned) {
        for (std::size_t i = next++; i < count; i = next++) store_->put(name_at(i), as_bytes("x"));
    });
    std::vector<std::string> wanted;
    for (std::size_t i = 0; i < count; ++i) wanted.push_back(name_at(i));
    EXPECT_TRUE(names_of(*store_, "many/") == wanted);
    EXPECT_TRUE(names_of(*store_, "many/", wanted[count - 3]) == std::vector(wanted.end() - 2, wanted.end()));
    // A visitor may use the store, and may stop at any object, also beyond the first page.
    std::size_t visited = 0;
    store_->list("many/", "",
                 [&](const ObjectInfo& object) {
                     if (visited % 500 == 0) {
                         EXPECT_TRUE(store_->head(object.name, {}));
                     }
                     return ++visited < count - 5;
                 },
                 {});
    EXPECT_EQ(visited, count - 5);
}

TEST_P(StoreConformance, Removes) {
    store_->put("removed/a", as_bytes("a"));
    store_->put("removed/b", as_bytes("b"));
    store_->remove("removed/a", {});
    EXPECT_EQ(get(*store_, "removed/a"), std::nullopt);
    EXPECT_FALSE(store_->head("removed/a", {}));
    EXPECT_EQ(names_of(*store_, ""), std::vector<std::string>{"removed/b"});
    EXPECT_NO_THROW(store_->remove("removed/a", {}));
    EXPECT_EQ(get(*store_, "removed/b"), Bytes{'b'});
}

TEST_P(StoreConformance, RefusesNamesThatAreNone) {
    const std::vector<std::string> bad = {"",
                                          "/a",
                                          "a/",
                                          "a//b",
                                          "../a",
                                          "a/../b",
                                          ".",
                                          "a/./b",
                                          ".hidden/a",
                                          "a b",
                                          "a\\b",
                                          "a%2fb",
                                          "\xc3\xa9",
                                          std::string("a\0b", 3),
                                          std::string(513, 'a')};
    for (const std::string& name : bad) {
        EXPECT_EQ(error_code_of([&] { store_->put(name, as_bytes("x")); }), ErrorCode::usage) << name;
        EXPECT_EQ(error_code_of([&] { get(*store_, name); }), ErrorCode::usage) << name;
        EXPECT_EQ(error_code_of([&] { store_->head(name, {}); }), ErrorCode::usage) << name;
        EXPECT_EQ(error_code_of([&] { store_->remove(name, {}); }), ErrorCode::usage) << name;
    }
    EXPECT_EQ(error_code_of([&] { names_of(*store_, "../"); }), ErrorCode::usage);
    const std::string longest =
        std::string(200, 'a') + "/" + std::string(200, 'b') + "/" + std::string(110, 'c');
    EXPECT_EQ(store_->put(longest, as_bytes("long")), PutResult::stored);
    EXPECT_EQ(names_of(*store_, "a"), std::vector<std::string>{longest});
}

TEST_P(StoreConformance, ServesManyThreads) {
    in_parallel(8, [&](unsigned thread) {
        for (unsigned i = 0; i < 10; ++i) {
            const std::string name = "threads/" + std::to_string(thread) + "/" + std::to_string(i);
            const Bytes data = patterned_bytes(1 + 3000 * i, thread * 100 + i);
            EXPECT_EQ(store_->put(name, data), PutResult::stored);
            EXPECT_EQ(get(*store_, name), data);
            if (i % 2 == 1) store_->remove(name, {});
        }
    });
    EXPECT_EQ(names_of(*store_, "threads/").size(), 40U);
}

TEST_P(StoreConformance, StopsWhenAsked) {
    store_->put("stopped/a", as_bytes("a"));
    std::stop_source stop;
    stop.request_stop();
    const CallOptions options{.timeout = {}, .stop = stop.get_token()};
    EXPECT_EQ(error_code_of([&] { store_->put("stopped/b", as_bytes("b"), {}, options); }),
              ErrorCode::cancelled);
    EXPECT_EQ(error_code_of([&] { store_->get("stopped/a", {}, options); }), ErrorCode::cancelled);
    EXPECT_EQ(error_code_of([&] { store_->list_all("", options); }), ErrorCode::cancelled);
    EXPECT_EQ(error_code_of([&] { store_->remove("stopped/a", options); }), ErrorCode::cancelled);
    EXPECT_EQ(names_of(*store_, ""), std::vector<std::string>{"stopped/a"});
}

TEST_P(StoreConformance, PassesOnWhatAVisitorThrows) {
    store_->put("visited/a", as_bytes("a"));
    store_->put("visited/b", as_bytes("b"));
    int visits = 0;
    const Error error = thrown_error([&] {
        store_->list("", "",
                     [&](const ObjectInfo&) -> bool {
                         ++visits;
                         throw Error(ErrorCode::unavailable, "of the visitor", "", true);
                     },
                     {});
    });
    EXPECT_EQ(error.message(), "of the visitor");
    EXPECT_EQ(visits, 1);
}

TEST_P(StoreConformance, KeepsVersions) {
    std::vector<ObjectVersion> versions;
    const auto list_versions = [&] {
        versions.clear();
        store_->list_versions("versioned/",
                              [&](const ObjectVersion& version) {
                                  versions.push_back(version);
                                  return true;
                              },
                              {});
    };
    store_->put("versioned/a", as_bytes("one"));
    if (!expected().versions) {
        EXPECT_EQ(error_code_of(list_versions), ErrorCode::unsupported);
        EXPECT_EQ(error_code_of([&] { store_->get_version("versioned/a", "1", {}, {}); }),
                  ErrorCode::unsupported);
        EXPECT_EQ(error_code_of([&] { store_->remove_version("versioned/a", "1", {}); }),
                  ErrorCode::unsupported);
        return;
    }
    store_->put("versioned/a", as_bytes("two"));
    store_->remove("versioned/a", {});
    store_->put("versioned/b", as_bytes("other"));
    list_versions();
    ASSERT_EQ(versions.size(), 4U);
    EXPECT_EQ(versions[0].object.name, "versioned/a");
    EXPECT_TRUE(versions[0].deleted && versions[0].latest);
    EXPECT_FALSE(versions[1].deleted || versions[1].latest);
    EXPECT_EQ(versions[1].object.size_bytes, 3U);
    EXPECT_EQ(versions[3].object.name, "versioned/b");
    EXPECT_TRUE(versions[3].latest);
    EXPECT_EQ(store_->get_version("versioned/a", versions[1].version, {}, {}), Bytes({'t', 'w', 'o'}));
    EXPECT_EQ(store_->get_version("versioned/a", versions[2].version, {.offset = 1}, {}), Bytes({'n', 'e'}));
    // Taking the delete marker away brings the object back.
    store_->remove_version("versioned/a", versions[0].version, {});
    EXPECT_EQ(get(*store_, "versioned/a"), Bytes({'t', 'w', 'o'}));
    store_->remove_version("versioned/a", versions[2].version, {});
    EXPECT_EQ(store_->get_version("versioned/a", versions[2].version, {}, {}), std::nullopt);
    EXPECT_NO_THROW(store_->remove_version("versioned/a", versions[2].version, {}));
    list_versions();
    EXPECT_EQ(versions.size(), 2U);
}

TEST_P(StoreConformance, LocksObjects) {
    const Retention hour{.mode = RetentionMode::governance, .until = in_an_hour()};
    const Retention two_hours{.mode = RetentionMode::governance, .until = hour.until + std::chrono::hours(1)};
    const PutOptions locked{.retention = hour};
    if (!expected().object_lock) {
        EXPECT_EQ(error_code_of([&] { store_->put("locked", as_bytes("x"), locked); }),
                  ErrorCode::unsupported);
        store_->put("open", as_bytes("x"));
        EXPECT_EQ(error_code_of([&] { store_->retain("open", hour, {}); }), ErrorCode::unsupported);
        EXPECT_EQ(error_code_of([&] { store_->retention("open", {}); }), ErrorCode::unsupported);
        return;
    }
    EXPECT_EQ(store_->put("locked", as_bytes("x"), locked), PutResult::stored);
    store_->put("open", as_bytes("x"));
    EXPECT_FALSE(store_->retention("open", {}));
    store_->retain("open", hour, {});
    for (const std::string name : {"locked", "open"}) {
        ASSERT_TRUE(store_->retention(name, {})) << name;
        EXPECT_EQ(store_->retention(name, {})->until, hour.until);
        EXPECT_EQ(store_->retention(name, {})->mode, RetentionMode::governance);
        store_->retain(name, two_hours, {});
        EXPECT_EQ(store_->retention(name, {})->until, two_hours.until);
        store_->retain(name, hour, {});
        EXPECT_EQ(store_->retention(name, {})->until, two_hours.until) << "a lock was shortened";
    }
    if (expected().versions) {
        std::string version;
        store_->list_versions("locked",
                              [&](const ObjectVersion& found) {
                                  version = found.version;
                                  return false;
                              },
                              {});
        EXPECT_EQ(error_code_of([&] { store_->remove_version("locked", version, {}); }),
                  ErrorCode::access_denied);
    } else {
        EXPECT_EQ(error_code_of([&] { store_->remove("locked", {}); }), ErrorCode::access_denied);
    }
    EXPECT_EQ(get(*store_, "locked"), Bytes{'x'});
}

TEST_P(StoreConformance, CopiesInsideTheStore) {
    const Bytes data = patterned_bytes(50'000, 6);
    store_->put("copy/from", data);
    if (!expected().server_copy) {
        EXPECT_EQ(error_code_of([&] { store_->copy("copy/from", "copy/to", {}, {}); }),
                  ErrorCode::unsupported);
        return;
    }
    EXPECT_EQ(store_->copy("copy/from", "copy/to", {}, {}), PutResult::stored);
    EXPECT_EQ(get(*store_, "copy/to"), data);
    EXPECT_EQ(get(*store_, "copy/from"), data);
    EXPECT_EQ(error_code_of([&] { store_->copy("copy/absent", "copy/other", {}, {}); }),
              ErrorCode::not_found);
    EXPECT_EQ(get(*store_, "copy/other"), std::nullopt);
}

TEST_P(StoreConformance, MovesObjectsBetweenTiers) {
    const Bytes data = patterned_bytes(5000, 7);
    if (expected().tiers.empty()) {
        store_->put("tiered", data);
        EXPECT_EQ(error_code_of([&] { store_->put("cold", data, {.tier = "ICE"}); }), ErrorCode::unsupported);
        EXPECT_EQ(error_code_of([&] { store_->set_tier("tiered", "ICE", {}); }), ErrorCode::unsupported);
        EXPECT_EQ(error_code_of([&] { store_->thaw("tiered", std::chrono::hours(24), {}); }),
                  ErrorCode::unsupported);
        return;
    }
    const std::string cold = expected().tiers.back();
    EXPECT_EQ(store_->put("tiered/put", data, {.tier = cold}), PutResult::stored);
    store_->put("tiered/moved", data);
    store_->set_tier("tiered/moved", cold, {});
    for (const ObjectInfo& object : store_->list_all("tiered/")) {
        EXPECT_EQ(object.tier, cold) << object.name;
        EXPECT_EQ(object.size_bytes, data.size());
    }
}

} // namespace holdfast::test
