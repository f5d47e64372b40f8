#include "postgres/receive/exposure.h"

#include <algorithm>

namespace holdfast::postgres {

namespace {

constexpr Duration mark_distance = std::chrono::milliseconds(100);
constexpr std::size_t most_marks = 65'536;

} // namespace

void Exposure::heard(WalPosition end, Duration now) {
    disconnected_.reset();
    if (end <= heard_) return;
    heard_ = end;
    if (end <= archived_) return;
    // A mark stands for all up to its end: so that few are enough, what comes soon behind counts as old.
    const bool soon = !marks_.empty() && now - marks_.back().since < mark_distance;
    if (soon || marks_.size() == most_marks) {
        marks_.back().end = end;
    } else {
        marks_.push_back({end, now});
    }
}

void Exposure::disconnected(Duration now) {
    if (!disconnected_) disconnected_ = now;
}

void Exposure::archived(WalPosition position) {
    archived_ = std::max(archived_, position);
    while (!marks_.empty() && marks_.front().end <= archived_) marks_.pop_front();
}

Duration Exposure::age(Duration now) const {
    Duration since = disconnected_.value_or(now);
    if (!marks_.empty()) since = std::min(since, marks_.front().since);
    return now - since;
}

} // namespace holdfast::postgres
