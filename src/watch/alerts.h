// Alerts through their life, in the catalog: pending, firing, acknowledged, resolved.
//
// Of a rule and a subject at most one is open, also when several servers judge the same. What fires, gets
// worse or ends leaves notices for channels in the same transaction (outbox.h).
#pragma once

#include "base/random.h"
#include "catalog/catalog.h"
#include "watch/judgement.h"
#include "watch/outbox.h"
#include "watch/routing.h"

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace holdfast {

enum class AlertState { pending, firing, acknowledged, resolved };
std::string_view to_string(AlertState state);
// Throws Error(usage).
AlertState alert_state(std::string_view text);

struct Alert {
    std::string id; // ascending with time
    std::string rule;
    std::string subject, subject_kind;
    Severity severity = Severity::p3;
    AlertState state = AlertState::pending;
    std::string summary;
    std::optional<double> value, threshold;
    Timestamp since{}; // when it was first found
    std::int64_t evaluations = 0;
    Timestamp evaluated{}; // when it was last found
    std::optional<Timestamp> fired, acknowledged;
    std::optional<std::string> acknowledged_by;
    std::optional<Timestamp> clear_since;
    std::int64_t clear_evaluations = 0;
    std::optional<Timestamp> resolved;
    std::optional<std::string> resolved_by; // empty text: by itself
    std::int64_t level = 0;                 // the step of the chain that was told last; 0: nobody yet
    std::optional<Timestamp> next_level;    // when the next is told
};

struct AlertEvent {
    Timestamp time{};
    std::string event; // "fired", "escalated", "worsened", "acknowledged", "resolved"
    std::string actor; // empty: Holdfast itself
    std::string text;
};

struct Silence {
    std::string id{};
    std::string rule{}, subject{}; // a `*` stands for anything
    std::string owner{}, reason{};
    Timestamp begins{}, ends{};
    std::optional<std::string> ended_by{}; // who ended it early

    bool covers(std::string_view rule_name, std::string_view subject_name, Timestamp at) const;
};

struct AlertFilter {
    std::set<AlertState> states{AlertState::firing, AlertState::acknowledged};
    std::set<Severity> severities{};              // empty: all
    std::optional<std::string> rule{}, subject{}; // nothing: all
    std::optional<std::string> before{};          // newest first: those before this id
    std::size_t limit = 100;
};

struct AlertSettings {
    std::string origin; // which Holdfast this is, for receivers of its notices
    RuleBook rules;
    Routing routing;
    // Evaluations of one alert within this time count once: several servers may judge the same.
    Duration spacing = std::chrono::seconds(20);
    // When the chain has ended, its last step is told again so often until somebody acknowledges.
    Duration remind_every = std::chrono::hours(24);
};

// Thread-safe. All throws what the catalog throws. The references must outlive it.
class Alerts {
  public:
    Alerts(Catalog& catalog, Clock& clock, Random& random, AlertSettings settings)
        : catalog_(catalog), clock_(clock), random_(random), settings_(std::move(settings)) {}

    // Takes note of what a round has found, and tells whoever is to be told by now. Alerts about sources,
    // repositories and channels that nothing was judged about end when `complete`.
    void apply(const std::vector<Judgement>& judgements, bool complete);

    std::optional<Alert> find(const std::string& id);
    std::vector<Alert> list(const AlertFilter& filter);
    // Oldest first.
    std::vector<AlertEvent> events(const std::string& id);
    // How many are firing or acknowledged.
    std::map<Severity, std::int64_t> open_counts();

    // Somebody has seen it: nobody else is told. False when it is not firing.
    bool acknowledge(const std::string& id, const std::string& by, const std::string& text = {});
    // Ends it by hand; when the cause is still there, another begins. False when it was not open.
    bool resolve(const std::string& id, const std::string& by, const std::string& text = {});

    // Until then nobody is told; what is still firing then is told. `id`, and `begins` when it is zero, are
    // filled in. Throws Error(usage) for what has no end, owner or reason, ends in the past, or lasts longer
    // than a year. Returns its id.
    std::string silence(Silence silence);
    // False when it was over.
    bool end_silence(const std::string& id, const std::string& by);
    // Those that are not over, and when asked for also the others, latest end first.
    std::vector<Silence> silences(bool also_ended = false);

    // Takes away those that were resolved before, with their history and notices; returns how many.
    std::int64_t remove_resolved_before(Timestamp time);

    const AlertSettings& settings() const { return settings_; }
    // Of a new alert or silence; ascending with time.
    std::string new_id();

  private:
    Catalog& catalog_;
    Clock& clock_;
    Random& random_;
    const AlertSettings settings_;
};

} // namespace holdfast
