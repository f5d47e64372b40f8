// What an operator must know now, kept until it is over.
#pragma once

#include "base/log.h"

#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace holdfast::postgres {

// Thread-safe. Logs an alarm when it is raised and when it is over.
class Alarms {
  public:
    // `logger` must outlive it.
    Alarms(Logger& logger, std::string source) : logger_(logger), source_(std::move(source)) {}

    // `kind` tells alarms apart; a second one of a kind replaces the text, and is logged only when the text
    // is another.
    void raise(const std::string& kind, const std::string& what);
    void clear(const std::string& kind);
    std::vector<std::string> texts() const;
    bool raised(const std::string& kind) const;

  private:
    Logger& logger_;
    const std::string source_;
    mutable std::mutex mutex_;
    std::map<std::string, std::string> raised_;
};

} // namespace holdfast::postgres
