#include "cli/commands/restore_output.h"

#include "cli/commands/restore_source_parts.h"
#include "cli/fields.h"
#include "cli/say.h"
#include "cli/text.h"

#include <fmt/format.h>

namespace holdfast {

namespace {

using nlohmann::json;

void print_result(const json& result) {
    const bool dry_run = flag_in(result, "dry_run");
    say("{} snapshot {} {} {}\n", dry_run ? "Would restore" : "Restored", short_id_in(result, "snapshot"),
        dry_run ? "to" : "into", text_in(result, "directory"));
    say("  {}, {}, {}, {}\n", counted(number_in(result, "files"), "file"),
        counted(number_in(result, "directories"), "directory", "directories"),
        counted(number_in(result, "others"), "other"), format_bytes(number_in(result, "bytes")));
    if (flag_in(result, "in_place")) {
        say("  {} right already; {} {}\n", counted(number_in(result, "same_files"), "file was", "files were"),
            dry_run ? "would write" : "wrote", format_bytes(number_in(result, "written_bytes")));
    }
    if (flag_in(result, "delete")) {
        say("  {} {} that the snapshot does not have\n", dry_run ? "would delete" : "deleted",
            counted(number_in(result, "deleted"), "entry", "entries"));
    }
    if (const std::uint64_t skipped = number_in(result, "skipped"); skipped > 0)
        say("  {} passed over\n", counted(skipped, "socket or device", "sockets or devices"));
    say("  took {}\n", format_duration(real_in(result, "seconds")));
}

void print_problems(std::FILE* stream, const json& result) {
    const std::uint64_t failed = number_in(result, "failed");
    if (failed == 0) return;
    const json& problems = list_in(result, "problems");
    if (stream == stdout) say("\n");
    say(stream, "{} failed:\n", failed);
    for (const json& problem : problems)
        say(stream, "  {}: {}\n", text_in(problem, "path"), text_in(problem, "reason"));
    if (failed > problems.size()) say(stream, "  …\n");
}

int tell_source_restore(CommandContext& context, const json& result) {
    context.report(result, [&] {
        print_plan(result);
        print_report(result);
    });
    const std::vector<std::string> problems = texts_in(result, "problems");
    for (const std::string& problem : problems) say(stderr, "holdfast: {}\n", problem);
    return problems.empty() ? exit_done : exit_incomplete;
}

} // namespace

int tell_restore(CommandContext& context, const json& result) {
    // Of a point in time rather than of a tree.
    if (has(result, "target")) return tell_source_restore(context, result);
    context.report(result, [&] { print_result(result); }, flag_in(result, "dry_run"));
    if (!context.json()) print_problems(context.problem_stream(), result);
    return number_in(result, "failed") > 0 ? exit_incomplete : exit_done;
}

} // namespace holdfast
