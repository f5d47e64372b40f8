#include "cli/commands/prune_output.h"

#include "cli/fields.h"
#include "cli/say.h"
#include "cli/text.h"

#include <fmt/format.h>

namespace holdfast {

namespace {

using nlohmann::json;

void print_logs(const json& result, bool dry_run) {
    if (const std::uint64_t slices = number_in(result, "deleted_log_slices"); slices > 0) {
        say("{} {} of logs, {}\n", dry_run ? "Would delete" : "Deleted", counted(slices, "slice"),
            format_bytes(number_in(result, "deleted_log_bytes")));
    }
    for (const json& log : list_in(result, "released_logs")) {
        const std::string from = text_in(log, "from");
        say("{} '{}', timeline {} before {}, by the window of {} of policy '{}': {}\n",
            dry_run ? "Would let go of the log of" : "Let go of the log of", text_in(log, "source"),
            number_in(log, "timeline"), text_in(log, "position"), text_in(log, "window"),
            text_in(log, "policy"),
            from.empty() ? "nothing within it needs that" : "any moment from " + from + " on stays");
    }
    for (const json& log : list_in(result, "logs_without_snapshot")) {
        const std::string archive = text_in(log, "archive");
        say("Of no snapshot, and stays: the log {}, {}; to delete it, say --drop-log {}\n", archive,
            format_bytes(number_in(log, "bytes")), archive);
    }
}

void print_result(const json& result) {
    const bool dry_run = flag_in(result, "dry_run");
    say("{} {} of {}, {} of {}; {} {} ({} copied)\n", dry_run ? "Would delete" : "Deleted",
        number_in(result, "deleted_packs"), counted(number_in(result, "packs_before"), "pack"),
        format_bytes(number_in(result, "deleted_bytes")), format_bytes(number_in(result, "bytes_before")),
        dry_run ? "would rewrite" : "rewrote", number_in(result, "rewritten_packs"),
        format_bytes(number_in(result, "copied_bytes")));
    say("{} live, {} dead but kept\n", format_bytes(number_in(result, "live_bytes")),
        format_bytes(number_in(result, "dead_bytes_kept")));
    print_logs(result, dry_run);
    for (const std::string& run : texts_in(result, "fenced"))
        say("Gave up the run {}: it showed no sign of life\n", run);
    if (const std::uint64_t locked = number_in(result, "locked_packs"); locked > 0)
        say("Locked, and stays for now: {}\n", counted(locked, "pack"));
}

void print_postponed(std::FILE* stream, const std::vector<std::string>& runs) {
    const bool one = runs.size() == 1;
    say(stream, "Nothing was deleted: {} not ended.\n",
        one ? "1 run has" : fmt::format("{} runs have", runs.size()));
    for (const std::string& run : runs) say(stream, "  {}\n", run);
    say(stream,
        "Prune again when {}, or give up those without a sign of life with "
        "--patience-hours.\n",
        one ? "it has" : "they have");
}

} // namespace

int tell_prune(CommandContext& context, const json& result) {
    std::FILE* const problems = context.problem_stream();
    const bool postponed = flag_in(result, "postponed");
    if (postponed && !context.json()) print_postponed(problems, texts_in(result, "waited_for"));
    context.report(
        result,
        [&] {
            if (!postponed) print_result(result);
        },
        flag_in(result, "dry_run"));
    const std::vector<std::string> left = texts_in(result, "problems");
    if (!context.json()) {
        for (const std::string& problem : left) say(problems, "Left alone: {}\n", problem);
    }
    return postponed || !left.empty() ? exit_incomplete : exit_done;
}

} // namespace holdfast
