// A directory that opens and then cannot be read, as on a disk that goes bad: the kernel answers so.
#pragma once

#include <functional>
#include <string>

namespace holdfast::test {

// Runs `body` on a thread of its own. For it and the threads that it starts, which must have ended when it
// returns, reading directory `path` fails with `error` once `good_calls` calls have been answered; each
// brings about 64 KiB of names. All other directories are as they are. What `body` throws is thrown here, and
// std::system_error when the kernel does not do this: it takes Linux 5.5 and seccomp(2), no privileges.
void with_failing_listing(const std::string& path, unsigned good_calls, int error,
                          const std::function<void()>& body);

} // namespace holdfast::test
