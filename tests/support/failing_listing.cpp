#include "support/failing_listing.h"

#include "base/file_descriptor.h"

#include <array>
#include <cerrno>
#include <cstddef>
#include <exception>
#include <future>
#include <system_error>
#include <thread>

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace holdfast::test {

namespace {

int checked(long result, const char* what) {
    if (result < 0) throw std::system_error(errno, std::generic_category(), what);
    return static_cast<int>(result);
}

// Every getdents64 of this thread, and of those it starts, is asked about at the descriptor that is returned.
// A filter can never be taken back, only its thread can end.
int watch_listings() {
    std::array<sock_filter, 4> program{{
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getdents64, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    }};
    const sock_fprog filter{program.size(), program.data()};
    checked(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no new privileges");
    return checked(::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &filter),
                   "watching system calls");
}

struct Failure {
    struct stat directory;
    unsigned good_calls;
    int error;

    // The threads of a process share its descriptors.
    bool takes(int fd) {
        struct stat status{};
        if (::fstat(fd, &status) != 0 || status.st_dev != directory.st_dev ||
            status.st_ino != directory.st_ino) {
            return false;
        }
        if (good_calls == 0) return true;
        --good_calls;
        return false;
    }
};

void answer_one(int listener, Failure& failure) {
    seccomp_notif asked{};
    if (::ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &asked) != 0) return; // whoever asked was interrupted
    seccomp_notif_resp answer{};
    answer.id = asked.id;
    if (failure.takes(static_cast<int>(asked.data.args[0]))) {
        answer.error = -failure.error;
    } else {
        answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    }
    ::ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
}

} // namespace

void with_failing_listing(const std::string& path, unsigned good_calls, int error,
                          const std::function<void()>& body) {
    Failure failure{.directory = {}, .good_calls = good_calls, .error = error};
    checked(::stat(path.c_str(), &failure.directory), "the directory to fail");
    const FileDescriptor ended(checked(::eventfd(0, EFD_CLOEXEC), "eventfd"));
    std::promise<int> watching;
    std::exception_ptr thrown;
    std::jthread thread([&] {
        try {
            watching.set_value(watch_listings());
        } catch (...) {
            watching.set_exception(std::current_exception());
            return;
        }
        try {
            body();
        } catch (...) {
            thrown = std::current_exception();
        }
        ::eventfd_write(ended.get(), 1);
    });
    const FileDescriptor listener(watching.get_future().get());
    for (;;) {
        std::array<pollfd, 2> waiting{{{listener.get(), POLLIN, 0}, {ended.get(), POLLIN, 0}}};
        if (::poll(waiting.data(), waiting.size(), -1) < 0 && errno != EINTR) break;
        if ((waiting[0].revents & POLLIN) != 0) answer_one(listener.get(), failure);
        if ((waiting[1].revents & POLLIN) != 0) break;
    }
    thread.join();
    if (thrown) std::rethrow_exception(thrown);
}

} // namespace holdfast::test
