#include "cli/commands/window_output.h"

#include "cli/command.h"
#include "cli/text.h"

#include <fmt/format.h>

namespace holdfast {

namespace {

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
