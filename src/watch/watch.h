// The monitor: what the server calls to have everything watched and people told.
//
// Three loops of the server use it, each in a thread of its own: round() once a minute, deliver() every few
// seconds, check_pulse() every half minute.
#pragma once

#include "base/log.h"
#include "watch/alerts.h"
#include "watch/channels/channel.h"
#include "watch/facts.h"
#include "watch/number_history.h"
#include "watch/outbox.h"

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

namespace holdfast {

class Error;

struct WatchSettings {
    std::string server;   // the name of this one, of which there is no other on the catalog
    std::string origin{}; // what receivers are to call the whole; empty: `server`
    RuleBook rules{};
    std::vector<ChannelSettings> channels{};
    Duration every = std::chrono::minutes(1); // how often round() is called
    // When no round has ended well for so long, the monitor itself fails.
    Duration round_limit = std::chrono::minutes(5);
    Duration keep_resolved = std::chrono::days(90);
    Duration remind_every = std::chrono::hours(24);
    OutboxSettings outbox{};
    Environment environment = process_environment();
    // The clock that receivers have too, by which notices are signed; null: that of the watch.
    Clock* channel_clock = nullptr;
};

// The settings of alerts that follow from those of the watch.
AlertSettings alert_settings(const WatchSettings& settings);

// Thread-safe. The references must outlive it. None of round(), deliver() and check_pulse() throws: what goes
// wrong is logged, and is an alert by itself.
class Watch {
  public:
    Watch(Catalog& catalog, Clock& clock, Random& random, Logger& logger, WatchSettings settings);
    ~Watch();
    // Remembers what `before` does, whose place it takes: with other rules and channels, on the same catalog.
    void go_on_from(const Watch& before);

    // Judges `facts`, keeps the state of alerts and queues notices. Adds what Watch knows itself: of this
    // server's and others' monitors, of channels, of how repositories grew. False when it failed.
    bool round(Facts facts);
    // Instead of round(), when facts could not be gathered.
    void round_failed(const Error& error);

    // Queues notices of `operation`, which has just succeeded, for channels that want to hear of it, within
    // the transaction that ends it. Throws what the catalog throws.
    void queue_success_of(Database& database, const Operation& operation);

    // Sends what is due, each channel beside the others, and returns when nothing is due any more; how many
    // notices were taken. A channel that fails is left alone for the rest of the call.
    std::size_t deliver(const std::stop_token& stop);

    // Sees whether rounds still end well, and raises the alert about the monitor itself when they do not: by
    // the catalog, or when that does not answer by the channels at once.
    void check_pulse(const std::stop_token& stop);

    // Sends a notice that is marked as a test over one channel, now. Throws Error(not_found) and what the
    // channel throws.
    void send_test(const std::string& channel, const std::stop_token& stop);
    // Keeps when a rule was tried (sandbox.h), for metrics.
    void record_self_test(const std::string& rule, bool passed);

    // At a clean stop: nobody misses this server's monitor.
    void leave();

    Alerts& alerts() { return alerts_; }
    Outbox& outbox() { return outbox_; }
    const std::vector<ChannelSettings>& channels() const { return settings_.channels; }
    // The facts of the last round with what was added to them; nothing before the first.
    std::optional<Facts> last_facts() const;
    // What Prometheus asks for; see docs/metrics.md. What the catalog cannot answer now is left out.
    std::string metrics();

  private:
    void complete(Facts& facts);
    void add_monitors(Facts& facts);
    void add_expectations(Facts& facts);
    void add_receivers(Facts& facts);
    void add_growth(Facts& facts);
    void add_channels(Facts& facts);
    void keep_pulse(Duration took, const std::string& problem);
    void tidy();
    // Whether an attempt went through.
    bool deliver_one(const QueuedNotice& notice, Channel& channel, const std::stop_token& stop);
    std::size_t deliver_over(const std::string& name, Channel& channel, Duration timeout,
                             const std::stop_token& stop);
    Judgement monitor_judgement(const std::string& problem) const;
    void tell_directly(NoticeEvent event, const std::string& summary, const std::stop_token& stop);

    Catalog& catalog_;
    Clock& clock_;
    Logger& logger_;
    const WatchSettings settings_;
    Alerts alerts_;
    Outbox outbox_;
    NumberHistory history_;
    std::map<std::string, std::unique_ptr<Channel>> channels_;

    struct Memory {
        std::optional<Facts> last_facts{};
        Duration last_good_round{}; // by the steady clock
        std::string problem{};      // of the last round
        Duration last_tidy{};
        // Of each source: a server tells only whether a receiver is connected at the moment.
        std::map<std::string, ReceiverFacts> receivers{};
        bool told_directly = false;
        Duration last_direct{};
    };
    mutable std::mutex mutex_; // what follows
    Memory memory_;
};

} // namespace holdfast
