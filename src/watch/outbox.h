// Notices for channels, in the catalog until they are delivered or given up.
//
// A notice is queued in the transaction that changes its alert, and claimed by one server at a time. A crash
// between sending and writing down that it was sent repeats it, under the same id and key.
#pragma once

#include "base/random.h"
#include "catalog/catalog.h"
#include "watch/severity.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace holdfast {

enum class NoticeEvent { trigger, acknowledge, resolve, success, test };
std::string_view to_string(NoticeEvent event);
// Throws Error(usage).
NoticeEvent notice_event(std::string_view text);

// What a channel is to tell: as it was when it was queued.
struct Notice {
    std::string id{};        // stable over all attempts
    std::string dedup_key{}; // the same for all notices of an alert, and for the same rule and subject again
    NoticeEvent event = NoticeEvent::trigger;
    std::string alert{}; // its id; of a success that of the operation
    std::string rule{}, title{}, subject{}, subject_kind{};
    Severity severity = Severity::p3;
    std::string summary{};
    std::string runbook{};
    Timestamp since{};      // when it began; of a success the operation
    Timestamp time{};       // of the event
    std::int64_t level = 1; // the step of the chain
    std::string actor{};    // who acknowledged or resolved it; empty: nobody
    std::string origin{};   // which Holdfast it comes from
};

// The stable key of a rule and a subject.
std::string dedup_key(std::string_view origin, std::string_view rule, std::string_view subject);

// As JSON, and back. Throws Error(corrupt).
std::string notice_json(const Notice& notice);
Notice parse_notice(std::string_view json);

struct QueuedNotice {
    std::string id;
    std::string channel;
    Notice notice;
    std::int64_t attempts = 0; // this one counted
    Timestamp created{};
    std::string owner;
};

// What became of an attempt.
struct Attempt {
    bool sent = false;
    bool retryable = false;
    double retry_after_seconds = 0; // that the other side asked for
    std::string error{};
};

struct OutboxSettings {
    Duration first_retry = std::chrono::seconds(5); // doubled with each attempt …
    Duration longest_retry = std::chrono::minutes(15);
    Duration give_up_after = std::chrono::hours(24);
    std::int64_t most_attempts = 100;
};

struct ChannelState {
    std::string channel{};
    std::int64_t waiting = 0;
    std::int64_t failed_in_a_row = 0;
    std::optional<Timestamp> last_success{}, last_failure{};
    std::string last_error{};
    std::int64_t sent = 0, failed = 0; // notices, in all: delivered, and given up
};

// Thread-safe. Throws what the catalog throws. The arguments must outlive it.
class Outbox {
  public:
    Outbox(Catalog& catalog, Clock& clock, Random& random, OutboxSettings settings = {})
        : catalog_(catalog), clock_(clock), random_(random), settings_(settings) {}

    // Queues `notice` for `channel`, within a transaction of the caller's. `id` must ascend.
    static void add(Database& database, const std::string& id, const std::string& channel,
                    const Notice& notice);

    // The channels for which something is due.
    std::vector<std::string> due_channels();
    // The first notice of the channel that is due, for `lease` from now on; nothing when there is none.
    // Notices of one alert go over a channel in their order.
    std::optional<QueuedNotice> claim(const std::string& channel, const std::string& owner, Duration lease);
    // Ends an attempt; false when the notice is not ours any more. One that failed is due again after a time
    // that grows and is partly random, or at its end when that makes no sense.
    bool finish(const QueuedNotice& claimed, const Attempt& attempt);
    // Takes away those of a channel that is no longer configured.
    void drop_unknown(const std::vector<std::string>& channels);

    std::vector<ChannelState> channel_states();
    std::int64_t remove_ended_before(Timestamp time);

  private:
    Timestamp next_try(const QueuedNotice& notice, const Attempt& attempt);

    Catalog& catalog_;
    Clock& clock_;
    Random& random_;
    OutboxSettings settings_;
};

} // namespace holdfast
