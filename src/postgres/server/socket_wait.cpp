#include "postgres/server/socket_wait.h"

#include "base/error.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <limits>

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

namespace holdfast::postgres {

namespace {

// Rounded up, so that a wait never ends before its deadline.
int milliseconds_until(const Deadline& deadline) {
    if (!deadline) return -1;
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(*deadline - std::chrono::steady_clock::now());
    return static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, std::numeric_limits<int>::max()));
}

// Full only when it was raised already.
void raise_event(int event) {
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = ::write(event, &one, sizeof one);
}

} // namespace

void StopWake::Wake::operator()() const { raise_event(event); }

WakeEvent::WakeEvent() : event_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    if (!event_) throw system_error(errno, "an event to wait for");
}

void WakeEvent::raise() const { raise_event(event_.get()); }

bool WakeEvent::take() const {
    std::uint64_t count = 0;
    return ::read(event_.get(), &count, sizeof count) > 0;
}

StopWake::StopWake(const std::stop_token& stop) : stop_(stop) {
    if (!stop.stop_possible()) return;
    event_ = FileDescriptor(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!event_) throw system_error(errno, "an event to wait for");
    callback_.emplace(stop, Wake{event_.get()});
}

SocketState StopWake::wait(int socket, bool for_reading, bool for_writing, const Deadline& deadline,
                           const WakeEvent* also) const {
    const short wanted = static_cast<short>((for_reading ? POLLIN : 0) | (for_writing ? POLLOUT : 0));
    std::array<pollfd, 3> polled{pollfd{socket, wanted, 0}, pollfd{event_.get(), POLLIN, 0},
                                 pollfd{also == nullptr ? -1 : also->fd(), POLLIN, 0}};
    for (;;) {
        const int got = ::poll(polled.data(), polled.size(), milliseconds_until(deadline));
        if (stop_.stop_requested()) return SocketState::stopped;
        if (got > 0) return SocketState::ready;
        if (got < 0 && errno != EINTR) throw system_error(errno, "waiting for a server");
        if (deadline && std::chrono::steady_clock::now() >= *deadline) return SocketState::timed_out;
    }
}

} // namespace holdfast::postgres
