#include "watch/watch.h"

#include "base/error.h"
#include "base/secret_text.h"
#include "watch/metrics/metrics.h"
#include "watch/success_notice.h"

#include <algorithm>
#include <thread>

#include <fmt/format.h>

namespace holdfast {

namespace {

constexpr Duration tidy_every = std::chrono::hours(1);
constexpr Duration keep_measurements = std::chrono::days(400);
// Repositories are measured seldom, and grow slowly.
constexpr Duration growth_spacing = std::chrono::minutes(15);
// Of a sign of life: by another clock, or made while the rest was looked at.
constexpr Duration tolerated_ahead = std::chrono::minutes(5);
constexpr const char* size_name = "repository_bytes";
constexpr const char* self_test_name = "self_test";
constexpr const char* expected_name = "expected_since";

std::string_view monitor_rule = "monitor_failing";

} // namespace

AlertSettings alert_settings(const WatchSettings& settings) {
    std::vector<Route> routes;
    for (const ChannelSettings& channel : settings.channels) routes.push_back(channel.route);
    return {.origin = settings.origin.empty() ? settings.server : settings.origin,
            .rules = settings.rules,
            .routing = Routing(std::move(routes)),
            // Half of the time between two rounds: those of one server always count.
            .spacing = settings.every / 2,
            .remind_every = settings.remind_every};
}

Watch::Watch(Catalog& catalog, Clock& clock, Random& random, Logger& logger, WatchSettings settings)
    : catalog_(catalog),
      clock_(clock),
      logger_(logger),
      settings_(std::move(settings)),
      alerts_(catalog, clock, random, alert_settings(settings_)),
      outbox_(catalog, clock, random, settings_.outbox),
      history_(catalog),
      memory_{.last_good_round = clock.steady(), .last_tidy = clock.steady()} {
    Clock& theirs = settings_.channel_clock != nullptr ? *settings_.channel_clock : clock_;
    for (const ChannelSettings& channel : settings_.channels)
        channels_[channel.name] = make_channel(channel, theirs, settings_.environment);
}

Watch::~Watch() = default;

void Watch::go_on_from(const Watch& before) {
    const std::scoped_lock lock(before.mutex_, mutex_);
    memory_ = before.memory_;
}

bool Watch::round(Facts facts) {
    const Duration begun = clock_.steady();
    try {
        if (facts.at == Timestamp()) facts.at = clock_.now();
        complete(facts);
        alerts_.apply(judge(facts, settings_.rules), facts.complete);
        keep_pulse(clock_.steady() - begun, {});
        tidy();
    } catch (const Error& error) {
        round_failed(error);
        return false;
    } catch (const std::exception& error) {
        round_failed(Error(ErrorCode::internal, error.what()));
        return false;
    }
    const std::scoped_lock lock(mutex_);
    memory_.last_good_round = clock_.steady();
    memory_.problem.clear();
    memory_.last_facts = std::move(facts);
    return true;
}

void Watch::round_failed(const Error& error) {
    logger_.error("monitor failed", {{"reason", error.message()}});
    const std::string problem = without_secrets(error.message());
    {
        const std::scoped_lock lock(mutex_);
        memory_.problem = problem;
    }
    try {
        keep_pulse({}, problem);
        alerts_.apply({monitor_judgement(problem)}, false);
    } catch (const std::exception& second) {
        // check_pulse() tells of it without the catalog.
        logger_.error("monitor cannot tell", {{"reason", std::string(second.what())}});
    }
}

Judgement Watch::monitor_judgement(const std::string& problem) const {
    const Rule& rule = *find_rule(monitor_rule);
    return {.rule = &rule,
            .subject = settings_.server,
            .verdict = Verdict::breach,
            .severity = settings_.rules.severity(rule),
            .summary = problem};
}

void Watch::complete(Facts& facts) {
    add_monitors(facts);
    add_expectations(facts);
    add_receivers(facts);
    add_growth(facts);
    add_channels(facts);
}

void Watch::add_monitors(Facts& facts) {
    const auto of = [&](const std::string& name) -> ServerFacts& {
        const auto at = std::ranges::find(facts.servers, name, &ServerFacts::name);
        if (at != facts.servers.end()) return *at;
        facts.servers.push_back({.name = name});
        return facts.servers.back();
    };
    const auto rows = catalog_.with([&](Database& database) {
        return database.query(
            "SELECT server, last_round, took, every, problem FROM monitors ORDER BY server");
    });
    for (const SqlRow& row : rows) {
        if (row.text(0) == settings_.server) continue;
        ServerFacts& other = of(row.text(0));
        other.last_round = row.time(1);
        other.last_round_took = Duration(row.number(2));
        other.round_limit = std::max<Duration>(settings_.round_limit, Duration(row.number(3)) * 5);
        other.round_problem = row.text(4);
    }
    // This round is the sign of life of this one.
    ServerFacts& own = of(settings_.server);
    own.last_round = facts.at;
    own.round_limit = settings_.round_limit;
    own.round_problem.clear();
}

// A source is as old as the first round that heard of it, also behind a restart.
void Watch::add_expectations(Facts& facts) {
    std::map<std::string, Timestamp> first;
    for (const NumberHistory::Last& heard : history_.last_of_each(expected_name))
        first.emplace(heard.subject, heard.measurement.time);
    for (SourceFacts& source : facts.sources) {
        if (!source.backups_expected || source.expected_since) continue;
        const auto [heard, is_new] = first.try_emplace(source.source, facts.at);
        if (is_new) history_.add(source.source, expected_name, {facts.at, 0});
        source.expected_since = heard->second;
    }
}

void Watch::add_receivers(Facts& facts) {
    const std::scoped_lock lock(mutex_);
    for (SourceFacts& source : facts.sources) {
        if (!source.receiver) continue;
        ReceiverFacts& now = *source.receiver;
        ReceiverFacts& kept = memory_.receivers[source.source];
        // What a clock that was ahead has told must not count for as long as it was.
        if (now.last_seen && *now.last_seen > facts.at + tolerated_ahead) now.last_seen.reset();
        kept.last_seen = std::max(kept.last_seen, now.last_seen);
        if (kept.last_seen) kept.last_seen = std::min(*kept.last_seen, facts.at);
        kept.asked_since = std::min(kept.asked_since.value_or(facts.at), facts.at);
        now.last_seen = kept.last_seen;
        now.asked_since = kept.asked_since;
    }
}

void Watch::add_growth(Facts& facts) {
    const Rule& rule = *find_rule("storage_growing");
    const Duration over = std::chrono::seconds(settings_.rules.threshold(rule, "over"));
    for (RepositoryFacts& repository : facts.repositories) {
        if (!repository.bytes) continue;
        history_.add(repository.name, size_name, {facts.at, static_cast<double>(*repository.bytes)},
                     growth_spacing);
        if (!repository.history.empty()) continue;
        for (const NumberAt& point : history_.since(repository.name, size_name, facts.at - over))
            repository.history.push_back(
                {point.time, static_cast<std::uint64_t>(std::max(point.value, 0.0))});
    }
}

void Watch::add_channels(Facts& facts) {
    facts.channels.clear();
    for (const ChannelState& state : outbox_.channel_states()) {
        if (!channels_.contains(state.channel)) continue;
        facts.channels.push_back({.name = state.channel,
                                  .waiting = state.waiting,
                                  .failed_in_a_row = state.failed_in_a_row,
                                  .last_success = state.last_success,
                                  .last_failure = state.last_failure,
                                  .last_error = state.last_error});
    }
}

void Watch::keep_pulse(Duration took, const std::string& problem) {
    catalog_.with([&](Database& database) {
        database.query("INSERT INTO monitors (server, last_round, took, every, problem) VALUES ($1, $2, $3, "
                       "$4, $5) ON CONFLICT (server) DO UPDATE SET last_round = $2, took = $3, every = $4, "
                       "problem = $5",
                       {sql(settings_.server), sql(clock_.now()), sql(std::int64_t{took.count()}),
                        sql(std::int64_t{settings_.every.count()}), sql(problem)});
    });
}

void Watch::tidy() {
    {
        const std::scoped_lock lock(mutex_);
        if (clock_.steady() - memory_.last_tidy < tidy_every) return;
        memory_.last_tidy = clock_.steady();
    }
    const Timestamp now = clock_.now();
    std::vector<std::string> names;
    for (const auto& [name, channel] : channels_) names.push_back(name);
    outbox_.drop_unknown(names);
    alerts_.remove_resolved_before(now - settings_.keep_resolved);
    outbox_.remove_ended_before(now - settings_.keep_resolved);
    history_.remove_before(now - keep_measurements);
}

void Watch::queue_success_of(Database& database, const Operation& operation) {
    queue_success(database, settings_.channels, alerts_.settings().origin, operation, clock_.now());
}

std::size_t Watch::deliver(const std::stop_token& stop) {
    std::vector<std::string> due;
    try {
        due = outbox_.due_channels();
    } catch (const std::exception& error) {
        logger_.warning("notices wait", {{"reason", std::string(error.what())}});
        return 0;
    }
    std::atomic<std::size_t> sent = 0;
    {
        // One that hangs must not hold up the others.
        std::vector<std::jthread> threads;
        for (const ChannelSettings& settings : settings_.channels) {
            if (std::ranges::find(due, settings.name) == due.end()) continue;
            threads.emplace_back([&, timeout = settings.timeout, name = settings.name] {
                sent += deliver_over(name, *channels_.at(name), timeout, stop);
            });
        }
    }
    return sent;
}

std::size_t Watch::deliver_over(const std::string& name, Channel& channel, Duration timeout,
                                const std::stop_token& stop) {
    std::size_t sent = 0;
    try {
        while (!stop.stop_requested()) {
            // A test takes two requests, and the clock of another server may be a little ahead.
            const auto notice = outbox_.claim(name, settings_.server, timeout * 2 + std::chrono::seconds(60));
            if (!notice || !deliver_one(*notice, channel, stop)) break;
            ++sent;
        }
    } catch (const std::exception& error) {
        logger_.warning("notices wait", {{"channel", name}, {"reason", std::string(error.what())}});
    }
    return sent;
}

bool Watch::deliver_one(const QueuedNotice& notice, Channel& channel, const std::stop_token& stop) {
    Attempt attempt;
    try {
        channel.send(notice.notice, stop);
        attempt.sent = true;
    } catch (const Error& error) {
        attempt.retryable = error.retryable() || error.code() == ErrorCode::cancelled;
        attempt.retry_after_seconds = error.retry_after_seconds();
        attempt.error = error.message();
    } catch (const std::exception& error) {
        attempt.error = error.what();
    }
    if (!attempt.sent) {
        logger_.warning("notice not delivered", {{"channel", notice.channel},
                                                 {"notice", notice.id},
                                                 {"attempt", notice.attempts},
                                                 {"again", attempt.retryable},
                                                 {"reason", attempt.error}});
    }
    outbox_.finish(notice, attempt);
    return attempt.sent || !attempt.retryable;
}

void Watch::check_pulse(const std::stop_token& stop) {
    std::string problem;
    bool told = false;
    {
        const std::scoped_lock lock(mutex_);
        const Duration silence = clock_.steady() - memory_.last_good_round;
        if (silence > settings_.round_limit) {
            problem = fmt::format("no round has ended well for {}{}{}",
                                  length_text(std::chrono::duration<double>(silence).count()),
                                  memory_.problem.empty() ? "" : ": ", memory_.problem);
        } else {
            problem = memory_.problem;
        }
        told = memory_.told_directly;
    }
    if (problem.empty()) {
        if (told) tell_directly(NoticeEvent::resolve, "rounds end well again", stop);
        return;
    }
    if (!settings_.rules.is_on(*find_rule(monitor_rule))) return;
    try {
        alerts_.apply({monitor_judgement(problem)}, false);
    } catch (const std::exception& error) {
        logger_.error("monitor cannot tell", {{"reason", std::string(error.what())}});
        tell_directly(NoticeEvent::trigger, problem, stop);
    }
}

void Watch::tell_directly(NoticeEvent event, const std::string& summary, const std::stop_token& stop) {
    const Rule& rule = *find_rule(monitor_rule);
    const Severity severity = settings_.rules.severity(rule);
    {
        const std::scoped_lock lock(mutex_);
        const Duration now = clock_.steady();
        if (event == NoticeEvent::trigger && memory_.told_directly &&
            now - memory_.last_direct < escalation_interval(severity))
            return;
        memory_.told_directly = event == NoticeEvent::trigger;
        memory_.last_direct = now;
    }
    const AlertSettings& alert = alerts_.settings();
    const Notice notice{.id = alerts_.new_id() + "-direct",
                        .dedup_key = dedup_key(alert.origin, monitor_rule, settings_.server),
                        .event = event,
                        .alert = {},
                        .rule = std::string(monitor_rule),
                        .title = std::string(rule.title),
                        .subject = settings_.server,
                        .subject_kind = std::string(to_string(rule.subject)),
                        .severity = severity,
                        .summary = summary,
                        .runbook = rule.runbook(settings_.server),
                        .since = clock_.now(),
                        .time = clock_.now(),
                        .level = 1,
                        .actor = {},
                        .origin = alert.origin};
    // Nothing remembers what was told, so that everybody is told at once.
    for (const ChannelSettings& channel : settings_.channels) {
        if (stop.stop_requested() || !channel.route.takes(monitor_rule, settings_.server, severity)) continue;
        try {
            channels_.at(channel.name)->send(notice, stop);
        } catch (const std::exception& error) {
            logger_.error("notice not delivered",
                          {{"channel", channel.name}, {"reason", std::string(error.what())}});
        }
    }
}

void Watch::send_test(const std::string& channel, const std::stop_token& stop) {
    const auto at = channels_.find(channel);
    if (at == channels_.end()) {
        throw Error(ErrorCode::not_found, fmt::format("there is no channel '{}'", channel),
                    "the configuration names them: [channel.NAME]");
    }
    at->second->send(test_notice(alerts_.settings().origin, alerts_.new_id() + "-test", clock_.now()), stop);
}

void Watch::record_self_test(const std::string& rule, bool passed) {
    history_.add(rule, self_test_name, {clock_.now(), passed ? 1.0 : 0.0});
}

void Watch::leave() {
    catalog_.with([&](Database& database) {
        database.query("DELETE FROM monitors WHERE server = $1", {sql(settings_.server)});
    });
}

std::optional<Facts> Watch::last_facts() const {
    const std::scoped_lock lock(mutex_);
    return memory_.last_facts;
}

std::string Watch::metrics() {
    MonitorNumbers numbers;
    numbers.server = settings_.server;
    try {
        numbers.open_alerts = alerts_.open_counts();
        numbers.channels = outbox_.channel_states();
        for (const auto& last : history_.last_of_each(self_test_name))
            numbers.self_tests.push_back({last.subject, last.measurement.time, last.measurement.value > 0});
        numbers.firing = alerts_.list({.limit = 1000});
        numbers.catalog_answers = true;
    } catch (const std::exception& error) {
        logger_.warning("metrics without the catalog", {{"reason", std::string(error.what())}});
    }
    return metrics_text(last_facts().value_or(Facts{.at = clock_.now()}), numbers, settings_.rules);
}

} // namespace holdfast
