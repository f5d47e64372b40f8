// Trying a rule for real: its cause is brought about in a sandbox, and the alert goes over the channels.
//
// A sandbox has a directory, a catalog, a repository with a source, a clock and a monitor of its own. What
// happens there is real: a backup that fails has failed, a disk that is full is full. Nothing outside is
// touched.
#pragma once

#include "watch/watch.h"

#include <map>
#include <stop_token>
#include <string>
#include <vector>

namespace holdfast {

struct AlertTrialSettings {
    RuleBook rules{};
    // Told of nothing but this alert: those whose routes take the rule and its severity, step by step. What
    // they take of subjects counts for nothing.
    std::vector<ChannelSettings> channels{};
    std::string origin = "test of alerts";
    std::string directory{}; // where the sandbox is made; empty: the directory for temporary files
    Environment environment = process_environment();
};

struct AlertTrial {
    std::string rule;
    std::string cause;                           // what was done
    bool quiet_before = false;                   // whether it kept silent while all was well
    bool fired = false;                          // once it was not
    std::string summary{};                       // of the alert
    std::vector<std::string> reached{};          // channels that took the notice, and that of its end
    std::map<std::string, std::string> failed{}; // channels that did not, and why
    std::vector<std::string> not_meant{};        // channels that are not to be told, by their routes

    // With no channel that is to be told nothing was proven of them.
    bool passed() const { return quiet_before && fired && failed.empty(); }
};

// Throws Error(unsupported) for what cannot be brought about here, saying what it would take, Error(usage)
// when the rule is switched off, and what goes wrong beside what is meant to.
AlertTrial try_alert(const Rule& rule, const AlertTrialSettings& settings, Logger& logger,
                     const std::stop_token& stop);

} // namespace holdfast
