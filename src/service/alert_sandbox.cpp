#include "service/alert_sandbox.h"

#include "service/alert_stage.h"

#include <algorithm>

#include <fmt/format.h>

namespace holdfast {

namespace {

// What is done must fire within this many rounds of a minute beyond what the rule itself waits for.
constexpr std::int64_t most_rounds = 15;

std::int64_t rounds_for(const RuleTiming& timing) {
    const auto held = std::chrono::ceil<std::chrono::minutes>(timing.hold_for).count();
    return std::max<std::int64_t>(held, timing.evaluations) + most_rounds;
}

// Tries to send, and says of each of the channels what came of it.
void deliver(AlertStage& stage, const std::vector<std::string>& channels, AlertTrial& trial,
             const std::stop_token& stop) {
    stage.watch().deliver(stop);
    const auto states = stage.watch().outbox().channel_states();
    for (const std::string& channel : channels) {
        const auto state = std::ranges::find(states, channel, &ChannelState::channel);
        if (state == states.end()) {
            trial.failed[channel] = "nothing was queued for it";
        } else if (state->waiting > 0 || state->failed > 0) {
            trial.failed[channel] = state->last_error;
        }
    }
}

} // namespace

AlertTrial try_alert(const Rule& rule, const AlertTrialSettings& settings, Logger& logger,
                     const std::stop_token& stop) {
    const auto& causes = alert_causes();
    const auto cause = std::ranges::find(causes, rule.name, &AlertCause::rule);
    if (cause == causes.end())
        throw Error(ErrorCode::internal, fmt::format("nobody knows how to bring about {}", rule.name));
    if (!settings.rules.is_on(rule))
        throw Error(ErrorCode::usage, fmt::format("the rule {} is switched off", rule.name),
                    fmt::format("take 'off' from [alert.{}]", rule.name));
    AlertTrial trial;
    trial.rule = rule.name;
    trial.cause = cause->words;

    AlertStage stage(rule, settings, logger, stop);
    if (cause->prepare != nullptr) {
        cause->prepare(stage);
    } else {
        stage.back_up();
    }
    stage.round();
    stage.round();
    trial.quiet_before = !stage.alert();

    cause->bring_about(stage);
    for (std::int64_t left = rounds_for(settings.rules.timing(rule)); left > 0 && !trial.fired; --left) {
        if (stop.stop_requested()) throw Error(ErrorCode::cancelled, "the test of an alert was stopped");
        stage.round();
        if (const auto alert = stage.alert()) {
            trial.fired = true;
            trial.summary = alert->summary;
        }
    }
    if (!trial.fired) return trial;
    const std::vector<std::string> meant = stage.tell_all_steps();
    deliver(stage, meant, trial, stop);
    // What was opened at the other side is closed again, also when this is to end.
    if (const auto alert = stage.alert())
        stage.watch().alerts().resolve(alert->id, settings.origin, "this was a test");
    deliver(stage, meant, trial, {});
    for (const ChannelSettings& channel : settings.channels) {
        if (trial.failed.contains(channel.name)) continue;
        const bool is_meant = std::ranges::find(meant, channel.name) != meant.end();
        (is_meant ? trial.reached : trial.not_meant).push_back(channel.name);
    }
    return trial;
}

} // namespace holdfast
