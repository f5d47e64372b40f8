// The same for each of many names, several at a time: for requests that mostly wait.
#pragma once

#include <functional>
#include <span>
#include <stop_token>
#include <string>

namespace holdfast {

// Calls `task` for each name, in no order, on up to `most` threads; where one is enough, on that of the
// caller. Returns when all are done. The first thing that a task throws ends it and is thrown here, and a
// stop ends it with Error(cancelled); the token that tasks get says that it is ending.
void for_each_at_once(std::span<const std::string> names, unsigned most, const std::stop_token& stop,
                      const std::function<void(const std::string& name, const std::stop_token&)>& task);

} // namespace holdfast
