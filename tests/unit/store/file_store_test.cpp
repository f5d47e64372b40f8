#include "store/file_store.h"
#include "store/object_name.h"
#include "support/store_conformance.h"
#include "support/temporary_directory.h"

#include <csignal>
#include <ctime>
#include <fstream>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace holdfast::test {

namespace {

namespace fs = std::filesystem;

class FileStoreTest : public testing::Test {
  protected:
    std::size_t temporaries() const {
        const fs::path directory = directory_.path() / "root/.tmp";
        return static_cast<std::size_t>(
            std::distance(fs::directory_iterator(directory), fs::directory_iterator()));
    }
    unsigned mode_of(const std::string& path) const {
        struct stat status{};
        EXPECT_EQ(::stat(path.c_str(), &status), 0) << path;
        return status.st_mode & 07777;
    }

    TemporaryDirectory directory_;
    std::string root_ = directory_ / "root";
    FileStore store_{root_};
};

TEST_F(FileStoreTest, IsNotMadeWhereItsDiskIsMissing) {
    FileStore elsewhere(root_, {.may_create = false});
    const auto refused = [&] {
        const Error error = thrown_error([&] { elsewhere.put("a/b", as_bytes("text"), {}, {}); });
        EXPECT_EQ(error.code(), ErrorCode::unavailable);
        return error.message();
    };
    EXPECT_NE(refused().find(root_), std::string::npos);
    EXPECT_FALSE(fs::exists(root_));
    fs::create_directory(root_); // where it would be mounted
    refused();
    EXPECT_TRUE(fs::is_empty(root_));

    store_.put("a/b", as_bytes("text"), {}, {});
    elsewhere.put("a/c", as_bytes("text"), {}, {});
    EXPECT_TRUE(elsewhere.head("a/c", {}));
    // It is unmounted while it is in use.
    fs::rename(root_, root_ + ".away");
    fs::create_directory(root_);
    EXPECT_THROW(elsewhere.put("a/d", as_bytes("text"), {}, {}), Error);
    EXPECT_TRUE(fs::is_empty(root_));
    // A copy without the empty directory of temporaries is a store.
    fs::remove_all(root_);
    fs::rename(root_ + ".away", root_);
    fs::remove_all(root_ + "/.tmp");
    FileStore copied(root_, {.may_create = false});
    copied.put("a/d", as_bytes("text"), {}, {});
    EXPECT_TRUE(copied.head("a/d", {}));
}

TEST_F(FileStoreTest, OpeningTouchesNothing) {
    EXPECT_TRUE(store_.list_all("").empty());
    EXPECT_FALSE(fs::exists(root_));
}

TEST_F(FileStoreTest, KeepsOthersOut) {
    store_.put("a/b/c", as_bytes("x"));
    EXPECT_EQ(mode_of(root_), 0700U);
    EXPECT_EQ(mode_of(root_ + "/a"), 0700U);
    EXPECT_EQ(mode_of(root_ + "/a/b"), 0700U);
    EXPECT_EQ(mode_of(root_ + "/.tmp"), 0700U);
    EXPECT_EQ(mode_of(root_ + "/a/b/c"), 0400U);
}

TEST_F(FileStoreTest, LeavesNoTemporariesBehind) {
    store_.put("a", as_bytes("x"), {.only_if_absent = true});
    store_.put("a", as_bytes("y"), {.only_if_absent = true});
    store_.put("b", as_bytes("z"));
    EXPECT_EQ(temporaries(), 0U);
}

TEST_F(FileStoreTest, NeverListsTemporariesOrStrangers) {
    store_.put("a", as_bytes("x"));
    std::ofstream(root_ + "/.tmp/leftover") << "half";
    std::ofstream(root_ + "/.hidden") << "x";
    std::ofstream(root_ + "/not a name") << "x";
    fs::create_directories(root_ + "/lost+found");
    fs::create_symlink("a", root_ + "/link");
    ASSERT_EQ(::mkfifo((root_ + "/pipe").c_str(), 0600), 0);
    const std::vector<ObjectInfo> objects = store_.list_all("");
    ASSERT_EQ(objects.size(), 1U);
    EXPECT_EQ(objects[0].name, "a");
    EXPECT_EQ(error_code_of([&] { store_.get("pipe", {}, {}); }), ErrorCode::corrupt);
    EXPECT_EQ(error_code_of([&] { store_.get("link", {}, {}); }), ErrorCode::io) << "a link was followed";
}

TEST_F(FileStoreTest, RemovesOldTemporariesOnly) {
    store_.put("a", as_bytes("x"));
    std::ofstream(root_ + "/.tmp/old") << "half";
    std::ofstream(root_ + "/.tmp/young") << "half";
    struct timespec times[2] = {{.tv_sec = 0, .tv_nsec = UTIME_NOW},
                                {.tv_sec = ::time(nullptr) - 25 * 3600, .tv_nsec = 0}};
    ASSERT_EQ(::utimensat(AT_FDCWD, (root_ + "/.tmp/old").c_str(), times, 0), 0);
    FileStore(root_).put("b", as_bytes("x"));
    EXPECT_FALSE(fs::exists(root_ + "/.tmp/old"));
    EXPECT_TRUE(fs::exists(root_ + "/.tmp/young"));
}

TEST_F(FileStoreTest, LeavesNothingWhenAWriteFails) {
    // A limit on the size of files makes the kernel refuse a write in the middle.
    const pid_t child = ::fork();
    if (child == 0) {
        ::signal(SIGXFSZ, SIG_IGN);
        const struct rlimit limit{.rlim_cur = 1 << 20, .rlim_max = 1 << 20};
        ::setrlimit(RLIMIT_FSIZE, &limit);
        try {
            store_.put("big", Bytes(8 << 20));
        } catch (const Error& error) {
            ::_exit(error.code() == ErrorCode::io ? 7 : 8);
        }
        ::_exit(9);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 7);
    EXPECT_FALSE(store_.head("big", {}));
    EXPECT_EQ(temporaries(), 0U);
}

TEST_F(FileStoreTest, SaysWhatToDoWithoutPermission) {
    store_.put("a/b", as_bytes("x"));
    // Permissions do not bind root: the operations run as nobody, who cannot even enter.
    const pid_t child = ::fork();
    if (child == 0) {
        if (::geteuid() == 0 && ::setuid(65534) != 0) ::_exit(1);
        if (::geteuid() != 65534) ::chmod(root_.c_str(), 0);
        const auto denied = [](const std::function<void()>& body) {
            try {
                body();
            } catch (const Error& error) {
                return error.code() == ErrorCode::access_denied && !error.hint().empty();
            }
            return false;
        };
        const bool all = denied([&] { store_.put("c", as_bytes("x")); }) &&
                         denied([&] { store_.get("a/b", {}, {}); }) && denied([&] { store_.list_all(""); }) &&
                         denied([&] { store_.remove("a/b", {}); });
        ::_exit(all ? 0 : 2);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ::chmod(root_.c_str(), 0700);
    EXPECT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST_F(FileStoreTest, TwoProcessesNeverBothWin) {
    constexpr int rounds = 50;
    const auto race = [&] {
        int wins = 0;
        FileStore mine(root_);
        for (int i = 0; i < rounds; ++i) {
            wins += mine.put("race/" + std::to_string(i), as_bytes("x"), {.only_if_absent = true}) ==
                    PutResult::stored;
        }
        return wins;
    };
    const pid_t child = ::fork();
    if (child == 0) ::_exit(race());
    const int ours = race();
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(ours + WEXITSTATUS(status), rounds);
}

TEST_F(FileStoreTest, UrlsAndPathsAgree) {
    for (const std::string path : {"/", "/a/b", "/with space/100%", "/\xc3\xbc?#", "/a+b"}) {
        EXPECT_EQ(path_of_file_url(file_url_of(path)), path);
    }
    EXPECT_EQ(FileStore("/a b/").url(), "file:///a%20b");
    EXPECT_EQ(path_of_file_url("file:///a/../b"), "/a/../b");
    for (const std::string bad :
         {"file://host/path", "file:/path", "file://", "file:///a%2", "file:///a%zz", "file:///a%00b"}) {
        EXPECT_EQ(error_code_of([&] { path_of_file_url(bad); }), ErrorCode::usage) << bad;
    }
    EXPECT_EQ(error_code_of([] { FileStore("relative"); }), ErrorCode::usage);
}

TEST(ObjectName, HasOneRuleForEveryStore) {
    EXPECT_TRUE(is_object_name("packs/ab/0123.pack"));
    EXPECT_TRUE(is_object_name("A-Z_9"));
    EXPECT_FALSE(is_object_name("packs/"));
    EXPECT_NO_THROW(check_object_prefix("packs/"));
    EXPECT_NO_THROW(check_object_prefix(""));
    EXPECT_EQ(error_code_of([] { check_object_prefix("packs//"); }), ErrorCode::usage);
    EXPECT_EQ(thrown_error([] { check_object_name("a\x1b[31m"); }).message(),
              "'a?[31m' is not a name that an object can have");
}

} // namespace

} // namespace holdfast::test
