// One round of alerts, within a transaction. Internal to Alerts.
#pragma once

#include "watch/alert_rows.h"

#include <utility>

namespace holdfast {

class AlertRound {
  public:
    // Reads what is open.
    AlertRound(Alerts& alerts, Database& database, Timestamp now);

    void judge(const Judgement& judgement);
    // Ends those that nothing asks for any more.
    void end_unjudged(bool complete);
    // Tells those whose time has come.
    void tell();

  private:
    using Key = std::pair<std::string, std::string>; // rule, subject

    void breach(const Judgement& judgement);
    void begin(const Judgement& judgement);
    void cease(const Judgement& judgement, Alert& alert);
    void fire_if_held(const Rule& rule, Alert& alert);
    void worsen(Alert& alert, Severity severity);
    void end(Alert& alert, std::string_view text);
    void drop_pending(const Alert& alert);
    // Whether it was counted long enough ago to be counted again.
    bool counts_again(const Alert& alert) const;
    bool silenced(const Alert& alert) const;
    void tell_step(Alert& alert, std::int64_t step);

    Alerts& alerts_;
    const AlertSettings& settings_;
    Database& database_;
    Timestamp now_;
    std::map<Key, Alert> open_;
    std::set<Key> judged_;
    std::vector<Silence> silences_;
};

} // namespace holdfast
