#include "cli/commands/window_output.h"

#include "cli/text.h"

#include <fmt/format.h>

namespace holdfast {

namespace {

nlohmann::json time_json(const std::optional<Timestamp>& time) {
    return time ? nlohmann::json(to_rfc3339(*time)) : nlohmann::json();
}

nlohmann::json id_json(const std::optional<RunId>& id) {
    return id ? nlohmann::json(id->hex()) : nlohmann::json();
}

nlohmann::json range_json(const postgres::RecoverableRange& range) {
    nlohmann::json snapshots = nlohmann::json::array();
    for (const RunId& id : range.snapshots) snapshots.push_back(id.hex());
    return {{"timeline", range.timeline},       {"from", to_rfc3339(range.from)},
            {"until", to_rfc3339(range.until)}, {"begin_lsn", range.begin.str()},
            {"end_lsn", range.end.str()},       {"snapshots", snapshots}};
}

// "; nothing after … and before … can be had; from snapshot … on it can".
std::string effect(const std::optional<Timestamp>& after, const std::optional<Timestamp>& before,
                   const std::optional<RunId>& again_from) {
    std::string text = "; nothing";
    if (after) text += " after " + to_rfc3339(*after);
    if (before) text += fmt::format("{} before {}", after ? " and" : "", to_rfc3339(*before));
    text += " can be had";
    if (again_from)
        text += fmt::format(", and from snapshot {} on it can again", short_id(again_from->hex()));
    return text;
}

} // namespace

nlohmann::json to_json(const postgres::LogFork& fork) {
    nlohmann::json branches = nlohmann::json::array();
    for (const postgres::LogBranch& branch : fork.branches)
        branches.push_back({{"name", branch.name},
                            {"first_slice", branch.first.name()},
                            {"end_lsn", branch.end.str()},
                            {"last_commit", time_json(branch.last_commit)}});
    return {{"timeline", fork.timeline},
            {"lsn", fork.at.str()},
            {"decided", fork.decided},
            {"branches", branches}};
}

nlohmann::json to_json(const postgres::RecoveryWindow& window) {
    nlohmann::json ranges = nlohmann::json::array(), gaps = nlohmann::json::array(),
                   histories = nlohmann::json::array(), unusable = nlohmann::json::array();
    for (const postgres::RecoverableRange& range : window.ranges) ranges.push_back(range_json(range));
    for (const postgres::RecoveryGap& gap : window.gaps) {
        gaps.push_back({{"timeline", gap.timeline},
                        {"begin_lsn", gap.begin.str()},
                        {"end_lsn", gap.end.str()},
                        {"why", gap.why},
                        {"after", time_json(gap.after)},
                        {"before", time_json(gap.before)},
                        {"again_from", id_json(gap.again_from)}});
    }
    for (const postgres::MissingHistory& missing : window.missing_histories) {
        histories.push_back({{"timeline", missing.timeline},
                             {"begin_lsn", missing.begin.str()},
                             {"before", time_json(missing.before)},
                             {"again_from", id_json(missing.again_from)}});
    }
    for (const RunId& id : window.without_log) unusable.push_back(id.hex());
    nlohmann::json forks = nlohmann::json::array();
    for (const postgres::LogFork& fork : window.forks) forks.push_back(to_json(fork));
    return {{"ranges", ranges},
            {"forks", forks},
            {"gaps", gaps},
            {"missing_histories", histories},
            {"snapshots_without_log", unusable}};
}

void print_gaps(std::FILE* stream, const postgres::RecoveryWindow& window) {
    for (const postgres::RecoveryGap& gap : window.gaps) {
        if (!gap.why.empty()) {
            fmt::print(stream, "Behind {} on timeline {}: {}{}\n", gap.begin.str(), gap.timeline, gap.why,
                       effect(gap.after, gap.before, gap.again_from));
            continue;
        }
        fmt::print(stream, "Gap: the log from {} to {} on timeline {} is missing{}\n", gap.begin.str(),
                   gap.end.str(), gap.timeline, effect(gap.after, gap.before, gap.again_from));
    }
    for (const postgres::MissingHistory& missing : window.missing_histories) {
        fmt::print(stream, "Gap: the history file of timeline {} is missing, whose log begins at {}{}\n",
                   missing.timeline, missing.begin.str(), effect({}, missing.before, missing.again_from));
    }
    for (const RunId& id : window.without_log)
        fmt::print(stream, "Snapshot {} cannot be restored: its log is not all there\n", short_id(id.hex()));
}

void print_forks(std::FILE* stream, const postgres::RecoveryWindow& window) {
    for (const postgres::LogFork& fork : window.forks)
        fmt::print(stream, "Rivals: {}\n", postgres::describe(fork));
    if (!window.forks.empty())
        fmt::print(stream, "  restore --branch chooses another, from a snapshot that leads there\n");
}

void print_window(const std::string& source, const postgres::RecoveryWindow& window) {
    if (window.ranges.empty()) fmt::print("Nothing of '{}' can be recovered\n", source);
    for (const postgres::RecoverableRange& range : window.ranges) {
        fmt::print("'{}' can be recovered to any moment from {} to {}\n", source, to_rfc3339(range.from),
                   to_rfc3339(range.until));
        fmt::print("  timeline {}, {} to {}, {}\n", range.timeline, range.begin.str(), range.end.str(),
                   counted(range.snapshots.size(), "snapshot"));
    }
    print_gaps(stdout, window);
    print_forks(stdout, window);
}

} // namespace holdfast
