// A directory on a real file system that a test fills, and that is gone after it.
#pragma once

#include "base/error.h"
#include "base/file_descriptor.h"
#include "documents/remove_tree.h"

#include <cerrno>
#include <cstdlib>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace holdfast {

class TemporaryTree {
  public:
    TemporaryTree() {
        const char* base = std::getenv("TMPDIR");
        path_ = std::string(base != nullptr ? base : "/var/tmp") + "/holdfast-documents-XXXXXX";
        if (::mkdtemp(path_.data()) == nullptr) throw std::runtime_error("mkdtemp failed in " + path_);
        ::chmod(path_.c_str(), 0755);
        directory_ = open_file(path_, O_RDONLY | O_DIRECTORY);
    }
    ~TemporaryTree() {
        const std::size_t slash = path_.rfind('/');
        const FileDescriptor parent = open_file(path_.substr(0, slash), O_RDONLY | O_DIRECTORY);
        remove_tree(parent.get(), path_.substr(slash + 1));
    }
    TemporaryTree(const TemporaryTree&) = delete;
    TemporaryTree& operator=(const TemporaryTree&) = delete;

    const std::string& path() const { return path_; }
    std::string path(const std::string& name) const { return path_ + "/" + name; }
    // The path as snapshots have it: without the slash in front.
    std::string tree_path(const std::string& name = {}) const {
        return path_.substr(1) + (name.empty() ? "" : "/" + name);
    }
    int fd() const { return directory_.get(); }

    void file(const std::string& name, std::string_view content = "content", unsigned mode = 0644) const {
        const FileDescriptor out(::openat(fd(), name.c_str(), O_WRONLY | O_CREAT | O_TRUNC, mode));
        ASSERT_TRUE(out) << name << ": " << errno;
        write_all(out.get(), as_bytes(content), name);
    }
    void directory(const std::string& name, unsigned mode = 0755) const {
        ASSERT_EQ(::mkdirat(fd(), name.c_str(), mode), 0) << name << ": " << errno;
    }
    void link(const std::string& name, const std::string& target) const {
        ASSERT_EQ(::symlinkat(target.c_str(), fd(), name.c_str()), 0) << name << ": " << errno;
    }
    std::string content(const std::string& name) const {
        const FileDescriptor in(::openat(fd(), name.c_str(), O_RDONLY | O_NOFOLLOW));
        EXPECT_TRUE(in) << name << ": " << errno;
        if (!in) return {};
        std::string text(1U << 20U, '\0');
        text.resize(read_at(in.get(), 0, {reinterpret_cast<Byte*>(text.data()), text.size()}, name));
        return text;
    }
    struct stat status(const std::string& name) const {
        struct stat result{};
        EXPECT_EQ(::fstatat(fd(), name.c_str(), &result, AT_SYMLINK_NOFOLLOW), 0) << name << ": " << errno;
        return result;
    }
    bool exists(const std::string& name) const {
        struct stat result{};
        return ::fstatat(fd(), name.c_str(), &result, AT_SYMLINK_NOFOLLOW) == 0;
    }

  private:
    std::string path_;
    FileDescriptor directory_;
};

// Runs `body` in a child process of the unprivileged user 65534 and expects it to return true. Tests that
// need this need root, and say so by failing.
inline void expect_as_nobody(const std::function<bool()>& body) {
    ASSERT_EQ(::geteuid(), 0U) << "this test must run as root";
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        if (::setgid(65534) != 0 || ::setuid(65534) != 0) ::_exit(100);
        int code = 102;
        try {
            code = body() ? 0 : 101;
        } catch (const std::exception& error) {
            ::dprintf(2, "in the child: %s\n", error.what());
        }
        ::_exit(code);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 0) << "100: setuid failed; 101: the body returned false; 102: it threw";
}

// The code of the Error that `body` throws, or nothing.
template <typename Body>
std::optional<ErrorCode> thrown_code(const Body& body) {
    try {
        body();
    } catch (const Error& error) {
        return error.code();
    }
    return std::nullopt;
}

} // namespace holdfast
