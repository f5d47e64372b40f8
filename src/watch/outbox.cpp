#include "watch/outbox.h"

#include "base/error.h"
#include "base/sha256.h"
#include "catalog/longest_wait.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace holdfast {

namespace {

// Text of others that is kept.
constexpr std::size_t most_error_bytes = 1000;
// Of a notice, where $1 is now and $2 later than anything is put off until.
constexpr const char* is_due = "n.state = 'queued' AND (n.run_after <= $1 OR n.run_after > $2) AND "
                               "(n.lease_until IS NULL OR n.lease_until <= $1 OR n.lease_until > $2)";

std::string shortened(const std::string& text) {
    if (text.size() <= most_error_bytes) return text;
    std::size_t end = most_error_bytes;
    // Not within a character.
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
    return text.substr(0, end) + "…";
}

// Servers that share a database go by their own clocks here, so what lies far ahead may be another's, and
// right.
Timestamp too_late(Database& database, Timestamp now) {
    return database.time() ? Timestamp::max() : now + longest_catalog_wait;
}

} // namespace

std::string dedup_key(std::string_view origin, std::string_view rule, std::string_view subject) {
    const std::string whole = fmt::format("{}\n{}\n{}", origin, rule, subject);
    return "holdfast-" + sha256_hex(as_bytes(whole)).substr(0, 32);
}

void Outbox::add(Database& database, const std::string& id, const std::string& channel,
                 const Notice& notice) {
    database.query("INSERT INTO notifications (id, alert, channel, event, notice, state, attempts, created, "
                   "run_after) VALUES ($1, $2, $3, $4, $5, 'queued', 0, $6, $7)",
                   {sql(id), sql(notice.alert), sql(channel), sql(to_string(notice.event)),
                    sql(notice_json(notice)), sql(notice.time), sql(notice.time)});
}

std::vector<std::string> Outbox::due_channels() {
    const auto rows = catalog_.with([&](Database& database) {
        const Timestamp now = clock_.now();
        return database.query(fmt::format("SELECT DISTINCT channel FROM notifications n WHERE {}", is_due),
                              {sql(now), sql(too_late(database, now))});
    });
    std::vector<std::string> channels;
    for (const SqlRow& row : rows) channels.push_back(row.text(0));
    return channels;
}

std::optional<QueuedNotice> Outbox::claim(const std::string& channel, const std::string& owner,
                                          Duration lease) {
    std::optional<QueuedNotice> claimed;
    catalog_.transaction([&](Database& database) {
        // One claim at a time, so that the order of an alert's notices holds.
        database.lock(CatalogLock::notices);
        const Timestamp now = clock_.now();
        const auto rows = database.query(
            fmt::format("UPDATE notifications SET owner = $3, lease_until = $4, attempts = attempts + 1 "
                        "WHERE id = (SELECT n.id FROM notifications n WHERE {} AND n.channel = $5 AND "
                        "NOT EXISTS (SELECT 1 FROM notifications e WHERE e.alert = n.alert AND "
                        "e.channel = n.channel AND e.state = 'queued' AND e.id < n.id) "
                        "ORDER BY n.run_after, n.id LIMIT 1) RETURNING id, notice, attempts, created",
                        is_due),
            {sql(now), sql(too_late(database, now)), sql(owner), sql(now + lease), sql(channel)});
        if (rows.empty()) return;
        const SqlRow& row = rows.front();
        claimed = {.id = row.text(0),
                   .channel = channel,
                   .notice = parse_notice(row.text(1)),
                   .attempts = row.number(2),
                   .created = row.time(3),
                   .owner = owner};
        claimed->notice.id = claimed->id;
    });
    return claimed;
}

Timestamp Outbox::next_try(const QueuedNotice& notice, const Attempt& attempt) {
    constexpr double longest_wish = 3600;
    const double doublings = static_cast<double>(std::min<std::int64_t>(notice.attempts - 1, 30));
    double seconds =
        std::min(std::chrono::duration<double>(settings_.first_retry).count() * std::exp2(doublings),
                 std::chrono::duration<double>(settings_.longest_retry).count());
    // From half to one and a half of it, so that what failed together is not tried together.
    seconds *= 0.5 + static_cast<double>(random_.below(1000)) / 1000;
    seconds = std::max(seconds, std::clamp(attempt.retry_after_seconds, 0.0, longest_wish));
    return clock_.now() + std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1000));
}

bool Outbox::finish(const QueuedNotice& claimed, const Attempt& attempt) {
    const Timestamp now = clock_.now();
    const bool again = !attempt.sent && attempt.retryable && claimed.attempts < settings_.most_attempts &&
                       now - claimed.created < settings_.give_up_after;
    const std::string_view state = attempt.sent ? "sent" : again ? "queued" : "failed";
    const std::string error = shortened(attempt.error);
    bool ours = false;
    catalog_.transaction([&](Database& database) {
        const auto rows = database.query(
            "UPDATE notifications SET state = $1, run_after = $2, ended = $3, error = $4, owner = NULL, "
            "lease_until = NULL WHERE id = $5 AND owner = $6 AND attempts = $7 AND state = 'queued' "
            "RETURNING id",
            {sql(state), sql(again ? next_try(claimed, attempt) : now), again ? SqlValue() : sql(now),
             attempt.sent ? SqlValue() : sql(error), sql(claimed.id), sql(claimed.owner),
             sql(claimed.attempts)});
        ours = !rows.empty();
        if (!ours) return;
        database.query("INSERT INTO channel_states (channel, failed_in_a_row, last_error, sent, failed) "
                       "VALUES ($1, 0, '', 0, 0) ON CONFLICT (channel) DO NOTHING",
                       {sql(claimed.channel)});
        if (attempt.sent) {
            database.query(
                "UPDATE channel_states SET failed_in_a_row = 0, last_success = $1, sent = sent + 1 "
                "WHERE channel = $2",
                {sql(now), sql(claimed.channel)});
        } else {
            database.query("UPDATE channel_states SET failed_in_a_row = failed_in_a_row + 1, "
                           "last_failure = $1, last_error = $2, failed = failed + $3 WHERE channel = $4",
                           {sql(now), sql(error), sql(std::int64_t{again ? 0 : 1}), sql(claimed.channel)});
        }
    });
    return ours;
}

void Outbox::drop_unknown(const std::vector<std::string>& channels) {
    catalog_.transaction([&](Database& database) {
        const auto rows = database.query("SELECT DISTINCT channel FROM notifications WHERE state = 'queued'");
        for (const SqlRow& row : rows) {
            if (std::ranges::find(channels, row.text(0)) != channels.end()) continue;
            database.query("UPDATE notifications SET state = 'failed', ended = $1, "
                           "error = 'the channel is not configured any more' "
                           "WHERE channel = $2 AND state = 'queued'",
                           {sql(clock_.now()), sql(row.text(0))});
        }
    });
}

std::vector<ChannelState> Outbox::channel_states() {
    return catalog_.with([&](Database& database) {
        std::map<std::string, ChannelState> states;
        for (const SqlRow& row :
             database.query("SELECT channel, failed_in_a_row, last_success, last_failure, last_error, sent, "
                            "failed FROM channel_states")) {
            states[row.text(0)] = {.channel = row.text(0),
                                   .waiting = 0,
                                   .failed_in_a_row = row.number(1),
                                   .last_success = row.optional_time(2),
                                   .last_failure = row.optional_time(3),
                                   .last_error = row.text(4),
                                   .sent = row.number(5),
                                   .failed = row.number(6)};
        }
        for (const SqlRow& row : database.query("SELECT channel, count(*) FROM notifications WHERE state = "
                                                "'queued' GROUP BY channel")) {
            ChannelState& state = states[row.text(0)];
            state.channel = row.text(0);
            state.waiting = row.number(1);
        }
        std::vector<ChannelState> all;
        for (auto& [name, state] : states) all.push_back(std::move(state));
        return all;
    });
}

std::int64_t Outbox::remove_ended_before(Timestamp time) {
    const auto rows = catalog_.with([&](Database& database) {
        return database.query("DELETE FROM notifications WHERE state <> 'queued' AND ended < $1 RETURNING id",
                              {sql(time)});
    });
    return static_cast<std::int64_t>(rows.size());
}

} // namespace holdfast
