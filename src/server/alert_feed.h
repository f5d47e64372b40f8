// What happens to alerts and silences, for streams of events.
#pragma once

#include "api/event_feed.h"
#include "watch/watch.h"

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

namespace holdfast {

// What stands is what is firing or acknowledged. An "alert" event has the alert and what happened to it:
// fired, worsened, escalated, acknowledged, resolved; a "silence" event a silence, and whether it begins or
// is over. What the summary of an alert says moves with each evaluation; that is no event.
class AlertFeed final : public api::EventFeed {
  public:
    // `watch` gives the one of now.
    AlertFeed(std::function<std::shared_ptr<Watch>()> watch, Clock& clock, Duration interval)
        : EventFeed("alert", clock, interval), watch_(std::move(watch)) {}

  private:
    // What makes an alert another one than before.
    struct Known {
        AlertState state{};
        Severity severity{};
        std::int64_t level = 0;
    };
    void begin() override;
    void follow() override;
    void note(const Alert& alert);
    void take(const Alert& alert);
    void note_over(Alerts& alerts, const std::set<std::string>& still);
    void note_brief(Alerts& alerts, const std::set<std::string>& still);
    void note_silences(Alerts& alerts);

    std::function<std::shared_ptr<Watch>()> watch_;
    std::map<std::string, Known> known_;          // by id: those that are not resolved
    std::map<std::string, std::string> silences_; // id and JSON
    std::string newest_;                          // id of the newest alert that was seen
};

} // namespace holdfast
