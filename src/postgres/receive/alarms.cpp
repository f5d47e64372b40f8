#include "postgres/receive/alarms.h"

namespace holdfast::postgres {

void Alarms::raise(const std::string& kind, const std::string& what) {
    {
        const std::scoped_lock lock(mutex_);
        std::string& text = raised_[kind];
        if (text == what) return;
        text = what;
    }
    logger_.error("receiving the log needs looking at",
                  {{"source", source_}, {"alarm", kind}, {"what", what}});
}

void Alarms::clear(const std::string& kind) {
    {
        const std::scoped_lock lock(mutex_);
        if (raised_.erase(kind) == 0) return;
    }
    logger_.info("an alarm is over", {{"source", source_}, {"alarm", kind}});
}

std::vector<std::string> Alarms::texts() const {
    const std::scoped_lock lock(mutex_);
    std::vector<std::string> texts;
    for (const auto& [kind, text] : raised_) texts.push_back(text);
    return texts;
}

bool Alarms::raised(const std::string& kind) const {
    const std::scoped_lock lock(mutex_);
    return raised_.contains(kind);
}

} // namespace holdfast::postgres
