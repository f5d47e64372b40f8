#include "base/at_once.h"

#include "base/error.h"
#include "base/task_group.h"

#include <algorithm>
#include <atomic>

namespace holdfast {

void for_each_at_once(std::span<const std::string> names, unsigned most, const std::stop_token& stop,
                      const std::function<void(const std::string& name, const std::stop_token&)>& task) {
    const std::size_t threads = std::min<std::size_t>(most, names.size());
    std::atomic<std::size_t> next = 0;
    const auto work = [&](const std::stop_token& ending) {
        for (std::size_t at = next++; at < names.size() && !ending.stop_requested(); at = next++)
            task(names[at], ending);
    };
    if (threads > 1) {
        TaskGroup group(stop);
        for (std::size_t i = 0; i < threads; ++i) group.start(work);
        return group.wait();
    }
    work(stop);
    if (stop.stop_requested()) throw Error(ErrorCode::cancelled, "stopped before it was done");
}

} // namespace holdfast
