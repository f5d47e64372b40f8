#include "base/file_descriptor.h"
#include "base/owned_file.h"
#include "support/error_matchers.h"
#include "support/scratch_directory.h"

#include <algorithm>
#include <cerrno>
#include <numeric>
#include <thread>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

namespace holdfast {
namespace {

using test::code_of;
using test::error_of;
using test::ScratchDirectory;

bool is_open(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }

Bytes counting(std::size_t size) {
    Bytes bytes(size);
    std::iota(bytes.begin(), bytes.end(), Byte{0});
    return bytes;
}

std::size_t entries(const std::filesystem::path& directory) {
    return static_cast<std::size_t>(
        std::distance(std::filesystem::directory_iterator(directory), std::filesystem::directory_iterator()));
}

TEST(FileDescriptor, ClosesWhenItGoesAndOwnsWhatItWasGiven) {
    const int raw = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    ASSERT_GE(raw, 0);
    {
        FileDescriptor first(raw);
        const FileDescriptor second(std::move(first));
        EXPECT_FALSE(first.open()); // NOLINT(bugprone-use-after-move): this is what is tested
        EXPECT_EQ(second.get(), raw);
        EXPECT_TRUE(is_open(raw));
    }
    EXPECT_FALSE(is_open(raw));
}

TEST(FileDescriptor, ReleaseGivesUpOwnership) {
    FileDescriptor file = open_file("/dev/null", O_RDONLY);
    const int raw = file.release();
    EXPECT_FALSE(file);
    EXPECT_TRUE(is_open(raw));
    FileDescriptor(raw).close("/dev/null");
    EXPECT_FALSE(is_open(raw));
}

TEST(OpenFile, SetsCloseOnExecAndNamesWhatItCannotOpen) {
    const FileDescriptor file = open_file("/dev/null", O_RDONLY);
    EXPECT_NE(::fcntl(file.get(), F_GETFD) & FD_CLOEXEC, 0);
    const ScratchDirectory scratch;
    const auto error = error_of([&] { open_file(scratch.file("absent"), O_RDONLY); });
    ASSERT_TRUE(error);
    EXPECT_EQ(error->code(), ErrorCode::not_found);
    EXPECT_NE(error->message().find(scratch.file("absent")), std::string::npos);
}

TEST(ReadAndWriteAt, FindWhatWasWrittenAndStopAtTheEnd) {
    const ScratchDirectory scratch;
    const FileDescriptor file = open_file(scratch.file("f"), O_RDWR | O_CREAT);
    write_all(file.get(), as_bytes("0123456789"), "f");
    write_at(file.get(), 4, as_bytes("xy"), "f");
    Bytes out(100, 0);
    EXPECT_EQ(read_at(file.get(), 2, out, "f"), 8U);
    EXPECT_EQ(as_text(ByteView(out).first(8)), "23xy6789");
    EXPECT_EQ(read_at(file.get(), 10, out, "f"), 0U);
    EXPECT_EQ(read_at(file.get(), 1000, out, "f"), 0U);
}

TEST(ReadAndWriteAt, AWrongDirectionIsAnError) {
    const ScratchDirectory scratch;
    const FileDescriptor writable = open_file(scratch.file("f"), O_WRONLY | O_CREAT);
    const FileDescriptor readable = open_file(scratch.file("f"), O_RDONLY);
    Bytes out(1);
    EXPECT_EQ(code_of([&] { read_at(writable.get(), 0, out, "f"); }), "io");
    EXPECT_EQ(code_of([&] { write_at(readable.get(), 0, as_bytes("x"), "f"); }), "io");
    EXPECT_EQ(code_of([&] { write_all(readable.get(), as_bytes("x"), "f"); }), "io");
}

TEST(ReadFile, ReadsAllUpToItsLimit) {
    const ScratchDirectory scratch;
    const std::string path = scratch.file("f");
    for (const std::size_t size : {0UL, 1UL, 65'535UL, 65'536UL, 65'537UL, 200'000UL}) {
        write_file_durably(path, counting(size));
        EXPECT_EQ(read_file(path, size), counting(size));
        if (size > 0) {
            EXPECT_EQ(code_of([&] { read_file(path, size - 1); }), "usage");
        }
    }
    EXPECT_EQ(code_of([&] { read_file("/dev/zero", 1 << 20); }), "usage");
    EXPECT_EQ(code_of([&] { read_file(scratch.path().string(), 100); }), "io");
}

TEST(ReadFile, ReadsAPipe) {
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    const FileDescriptor reader(ends[0]);
    std::jthread writer([fd = ends[1]] {
        FileDescriptor end(fd);
        write_all(end.get(), as_bytes("first "), "pipe");
        write_all(end.get(), as_bytes("second"), "pipe");
    });
    EXPECT_EQ(as_text(read_file("/proc/self/fd/" + std::to_string(reader.get()), 100)), "first second");
}

TEST(FullDisk, IsSaidWithTheNameOfTheFileAndWhatToDo) {
    const FileDescriptor full = open_file("/dev/full", O_WRONLY);
    const auto error = error_of([&] { write_all(full.get(), as_bytes("x"), "the pack"); });
    ASSERT_TRUE(error);
    EXPECT_EQ(error->code(), ErrorCode::no_space);
    EXPECT_EQ(error->message(), "writing the pack: No space left on device");
    EXPECT_FALSE(error->hint().empty());
    EXPECT_EQ(code_of([&] { write_at(full.get(), 0, as_bytes("x"), "the pack"); }), "no_space");
}

TEST(WriteFileDurably, ReplacesAFileAndLeavesNothingBeside) {
    const ScratchDirectory scratch;
    const std::string path = scratch.file("f");
    write_file_durably(path, as_bytes("first, and longer"));
    write_file_durably(path, as_bytes("second"), 0644);
    EXPECT_EQ(as_text(read_file(path, 100)), "second");
    EXPECT_EQ(entries(scratch.path()), 1U);
}

TEST(WriteFileDurably, IsPrivateUnlessToldOtherwise) {
    const ScratchDirectory scratch;
    write_file_durably(scratch.file("f"), as_bytes("x"));
    struct stat status{};
    ASSERT_EQ(::stat(scratch.file("f").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777U, 0600U);
}

TEST(WriteFileDurably, BelongsToWhomItIsFor) {
    const ScratchDirectory scratch;
    const FileOwner other = ::geteuid() == 0 ? FileOwner{12345, 23456} : file_owner(scratch.path());
    write_file_durably_for(other, scratch.file("f"), as_bytes("x"), 0640);
    const FileOwner owner = file_owner(scratch.file("f"));
    EXPECT_EQ(owner.user, other.user);
    EXPECT_EQ(owner.group, other.group);
    EXPECT_EQ(code_of([&] { file_owner(scratch.file("none")); }), "not_found");
}

TEST(WriteFileDurably, LeavesTheOldFileWhenItFails) {
    const ScratchDirectory scratch;
    // A directory cannot be renamed over: the write fails at its last step.
    std::filesystem::create_directories(scratch.path() / "target" / "full");
    const auto error = error_of([&] { write_file_durably(scratch.file("target"), as_bytes("x")); });
    ASSERT_TRUE(error);
    EXPECT_NE(error->message().find("target"), std::string::npos);
    EXPECT_TRUE(std::filesystem::is_directory(scratch.path() / "target"));
    EXPECT_EQ(entries(scratch.path()), 1U);
    EXPECT_EQ(code_of([&] { write_file_durably(scratch.file("absent/f"), as_bytes("x")); }), "not_found");
}

TEST(WriteFileDurably, WritersOfOneNameDoNotMix) {
    const ScratchDirectory scratch;
    const std::string path = scratch.file("f");
    {
        std::vector<std::jthread> writers;
        for (int w = 0; w < 4; ++w) {
            writers.emplace_back([&, w] {
                for (int i = 0; i < 10; ++i)
                    write_file_durably(path, Bytes(5000, static_cast<Byte>('a' + w)));
            });
        }
    }
    const Bytes bytes = read_file(path, 10'000);
    ASSERT_EQ(bytes.size(), 5000U);
    EXPECT_EQ(std::count(bytes.begin(), bytes.end(), bytes[0]), 5000);
    EXPECT_EQ(entries(scratch.path()), 1U);
}

TEST(CreateDirectoriesPrivate, CreatesParentsAndAcceptsWhatIsThere) {
    const ScratchDirectory scratch;
    create_directories_private(scratch.file("a/b//c/"));
    create_directories_private(scratch.file("a/b/c/d"));
    create_directories_private("/");
    struct stat status{};
    ASSERT_EQ(::stat(scratch.file("a/b/c/d").c_str(), &status), 0);
    EXPECT_TRUE(S_ISDIR(status.st_mode));
    EXPECT_EQ(status.st_mode & 0777U, 0700U);
}

TEST(CreateDirectoriesPrivate, RefusesAFileInTheWay) {
    const ScratchDirectory scratch;
    write_file_durably(scratch.file("f"), as_bytes("x"));
    for (const char* name : {"f", "f/sub"}) {
        const auto error = error_of([&] { create_directories_private(scratch.file(name)); });
        ASSERT_TRUE(error) << name;
        EXPECT_NE(error->message().find("Not a directory"), std::string::npos) << error->message();
    }
    EXPECT_EQ(code_of([] { create_directories_private(""); }), "not_found");
}

// A place where nothing can be created, for any user: the kernel's own file system.
TEST(ReadOnlyTarget, IsAnErrorThatNamesThePlace) {
    const auto error = error_of([] { write_file_durably("/proc/holdfast-test", as_bytes("x")); });
    ASSERT_TRUE(error);
    EXPECT_NE(error->message().find("/proc/holdfast-test"), std::string::npos);
    EXPECT_NE(system_error(EROFS, "opening x").hint().find("mount it for writing"), std::string::npos);
}

TEST(SyncDirectory, NeedsADirectory) {
    const ScratchDirectory scratch;
    EXPECT_NO_THROW(sync_directory(scratch.path().string()));
    EXPECT_EQ(code_of([&] { sync_directory(scratch.file("absent")); }), "not_found");
    write_file_durably(scratch.file("f"), as_bytes("x"));
    EXPECT_EQ(code_of([&] { sync_directory(scratch.file("f")); }), "io");
}

} // namespace
} // namespace holdfast
