#include "policy/retention_forecast.h"

#include "base/error.h"

#include <algorithm>

namespace holdfast {

namespace {

// One that is there at some time of the forecast.
struct Living {
    RetentionSubject subject;
    std::optional<std::size_t> given; // which of those given it is; nothing: one to come
};

class Future {
  public:
    Future(const RetentionPolicy& policy, const Forecast& forecast, std::vector<Living>& living)
        : policy_(policy), forecast_(forecast), living_(living) {
        for (const Forecast::Backups& backups : forecast_.backups)
            next_.push_back(backups.schedule.next(forecast_.now));
    }

    // Makes the backups that begin until `time`.
    void advance(Timestamp time) {
        for (std::size_t i = 0; i < next_.size(); ++i) {
            const Forecast::Backups& backups = forecast_.backups[i];
            for (; next_[i] && next_[i]->begin <= time; next_[i] = backups.schedule.next(next_[i]->nominal)) {
                RetentionSubject subject;
                subject.id = to_rfc3339(next_[i]->begin);
                subject.time = subject.end = next_[i]->begin;
                subject.class_name = backups.class_name;
                if (backups.keep) subject.expires = backups.keep->after(subject.time, policy_.zone);
                subject.has_log = forecast_.new_ones_have_log;
                living_.push_back({std::move(subject), std::nullopt});
            }
        }
    }

  private:
    const RetentionPolicy& policy_;
    const Forecast& forecast_;
    std::vector<Living>& living_;
    std::vector<std::optional<Schedule::Run>> next_;
};

} // namespace

std::vector<Fate> forecast_retention(const RetentionPolicy& policy,
                                     const std::vector<RetentionSubject>& snapshots, const Forecast& forecast,
                                     std::stop_token stop) {
    std::vector<Fate> fates(snapshots.size());
    std::vector<Living> living;
    for (std::size_t i = 0; i < snapshots.size(); ++i) living.push_back({snapshots[i], i});
    Future future(policy, forecast, living);
    std::size_t given_left = snapshots.size();
    const auto apply = [&](Timestamp time, bool first) {
        std::vector<RetentionSubject> subjects;
        for (const Living& one : living) subjects.push_back(one.subject);
        std::vector<RetentionDecision> decisions = decide_retention(policy, subjects, time);
        std::vector<Living> left;
        for (std::size_t i = 0; i < living.size(); ++i) {
            if (const auto given = living[i].given) {
                Fate& fate = fates[*given];
                if (first) fate.reasons = decisions[i].reasons;
                if (decisions[i].keep) {
                    fate.last_reasons = std::move(decisions[i].reasons);
                } else {
                    fate.goes = time;
                    --given_left;
                }
            }
            if (decisions[i].keep) left.push_back(std::move(living[i]));
        }
        living = std::move(left);
    };
    apply(forecast.now, true);
    for (auto run = forecast.enforcement.next(forecast.now);
         run && run->begin <= forecast.horizon && given_left > 0;
         run = forecast.enforcement.next(run->nominal)) {
        if (stop.stop_requested()) throw Error(ErrorCode::cancelled, "the forecast was stopped");
        future.advance(run->begin);
        apply(run->begin, false);
    }
    return fates;
}

} // namespace holdfast
