#include "cli/commands/window_output.h"

#include "cli/command.h"
#include "cli/fields.h"
#include "cli/say.h"
#include "cli/text.h"

#include <fmt/format.h>

namespace holdfast {

namespace {

using nlohmann::json;

// "; nothing after … and before … can be had; from snapshot … on it can".
std::string effect(const json& gap) {
    const std::string after = text_in(gap, "after"), before = text_in(gap, "before");
    std::string text = "; nothing";
    if (!after.empty()) text += " after " + after;
    if (!before.empty()) text += fmt::format("{} before {}", after.empty() ? "" : " and", before);
    text += " can be had";
    if (has(gap, "again_from"))
        text += fmt::format(", and from snapshot {} on it can again", short_id_in(gap, "again_from"));
    return text;
}

} // namespace

void print_gaps(std::FILE* stream, const json& window) {
    for (const json& gap : list_in(window, "gaps")) {
        const std::string begin = text_in(gap, "begin_lsn"), why = text_in(gap, "why");
        const std::uint64_t timeline = number_in(gap, "timeline");
        if (!why.empty()) {
            say(stream, "Behind {} on timeline {}: {}{}\n", begin, timeline, why, effect(gap));
            continue;
        }
        say(stream, "Gap: the log from {} to {} on timeline {} is missing{}\n", begin,
            text_in(gap, "end_lsn"), timeline, effect(gap));
    }
    for (const json& missing : list_in(window, "missing_histories")) {
        say(stream, "Gap: the history file of timeline {} is missing, whose log begins at {}{}\n",
            number_in(missing, "timeline"), text_in(missing, "begin_lsn"), effect(missing));
    }
    for (const std::string& id : texts_in(window, "snapshots_without_log"))
        say(stream, "Snapshot {} cannot be restored: its log is not all there\n", short_id(id));
}

void print_released(std::FILE* stream, const json& window) {
    for (const json& gap : list_in(window, "released")) {
        say(stream, "Released by policy: the log from {} to {} on timeline {}{}\n", text_in(gap, "begin_lsn"),
            text_in(gap, "end_lsn"), number_in(gap, "timeline"), effect(gap));
    }
}

void print_forks(std::FILE* stream, const json& window) {
    const json& forks = list_in(window, "forks");
    for (const json& fork : forks) say(stream, "Rivals: {}\n", text_in(fork, "description"));
    if (!forks.empty()) say(stream, "  restore --branch chooses another, from a snapshot that leads there\n");
}

void print_window(const std::string& source, const json& window) {
    const json& ranges = list_in(window, "ranges");
    if (ranges.empty()) say("Nothing of '{}' can be recovered\n", source);
    for (const json& range : ranges) {
        say("'{}' can be recovered to any moment from {} to {}\n", source, text_in(range, "from"),
            text_in(range, "until"));
        say("  timeline {}, {} to {}, {}\n", number_in(range, "timeline"), text_in(range, "begin_lsn"),
            text_in(range, "end_lsn"), counted(list_in(range, "snapshots").size(), "snapshot"));
    }
    print_released(stdout, window);
    print_gaps(stdout, window);
    print_forks(stdout, window);
}

} // namespace holdfast
