#include "cli/commands/backup_output.h"

#include "cli/fields.h"
#include "cli/say.h"
#include "cli/text.h"

#include <fmt/format.h>

namespace holdfast {

namespace {

using nlohmann::json;

bool is_partial(const json& result) { return text_in(result, "state") == "partial"; }

void print_documents(const json& result) {
    say("Snapshot {} of '{}'{}\n", short_id_in(result, "id"), text_in(result, "source"),
        is_partial(result) ? ", partial" : "");
    say("  {} in {}, {}\n", counted(number_in(result, "files"), "file"),
        counted(number_in(result, "directories"), "directory", "directories"),
        format_bytes(number_in(result, "size_bytes")));
    say("  {} new, {} changed, {} unchanged\n", number_in(result, "new_files"),
        number_in(result, "changed_files"), number_in(result, "unchanged_files"));
    say("  read {}, new content {}, added to the repository {}\n",
        format_bytes(number_in(result, "read_bytes")), format_bytes(number_in(result, "new_bytes")),
        format_bytes(number_in(result, "added_bytes")));
    if (const std::string compression = text_in(result, "compression"); !compression.empty())
        say("  compression: {}\n", compression);
    if (flag_in(result, "resumed")) say("  went on from an interrupted backup\n");
    if (has(result, "locked_until")) {
        say("  locked until {}: {}\n", local_time_in(result, "locked_until"),
            counted(number_in(result, "locked_packs"), "pack"));
    }
    if (const std::uint64_t changed = number_in(result, "changed_while_read"); changed > 0) {
        say("  {} changed while being read, and {} marked\n", counted(changed, "file"),
            changed == 1 ? "is" : "are");
    }
    say("  took {}\n", format_duration(real_in(result, "duration_seconds")));
}

void print_problems(std::FILE* stream, const json& problems) {
    for (const json& problem : problems)
        say(stream, "  {}: {}\n", text_in(problem, "path"), text_in(problem, "reason"));
}

void print_documents_problems(std::FILE* stream, const json& result) {
    const std::uint64_t failed = number_in(result, "failed");
    if (failed == 0) return;
    const json& problems = list_in(result, "problems");
    if (stream == stdout) say("\n");
    say(stream, "{} left out:\n", failed);
    print_problems(stream, problems);
    if (failed > problems.size()) say(stream, "  …\n");
}

void print_postgres(const json& result) {
    const bool incremental = flag_in(result, "incremental");
    say("Snapshot {} of '{}' (PostgreSQL {}), {}{}\n", short_id_in(result, "id"), text_in(result, "source"),
        text_in(result, "server_version"), incremental ? "only what has changed was read" : "read whole",
        is_partial(result) ? ", partial" : "");
    const std::string full_because = text_in(result, "full_because");
    if (!incremental && !full_because.empty()) say("  read whole because: {}\n", full_because);
    say("  {} in {}; log from {} to {} on timeline {}\n", counted(number_in(result, "files"), "file"),
        format_bytes(number_in(result, "size_bytes")), text_in(result, "start_lsn"),
        text_in(result, "stop_lsn"), number_in(result, "timeline"));
    say("  read {}, new content {}, added to the repository {}\n",
        format_bytes(number_in(result, "read_from_disk_bytes")), format_bytes(number_in(result, "new_bytes")),
        format_bytes(number_in(result, "added_bytes")));
    if (has(result, "locked_until")) {
        say("  locked until {}: {}, {} of log\n", local_time_in(result, "locked_until"),
            counted(number_in(result, "locked_packs"), "pack"),
            counted(number_in(result, "locked_log_slices"), "slice"));
    }
    const json& seconds = list_in(result, "seconds");
    say("  took {}: {:.2f} s until the server had begun, {:.2f} s reading, {:.2f} s to stop, {:.2f} s "
        "for the log\n",
        format_duration(real_in(result, "duration_seconds")), real_in(seconds, "start"),
        real_in(seconds, "capture"), real_in(seconds, "stop"), real_in(seconds, "log"));
}

void print_postgres_problems(std::FILE* stream, const json& result) {
    if (const std::uint64_t bad = number_in(result, "bad_page_count"); bad > 0)
        say(stream, "{}:\n", counted(bad, "page is damaged", "pages are damaged"));
    for (const json& page : list_in(result, "bad_pages"))
        say(stream, "  {} block {}: {}\n", text_in(page, "path"), number_in(page, "block"),
            text_in(page, "why"));
    if (const std::uint64_t failed = number_in(result, "failed"); failed > 0)
        say(stream, "{} left out:\n", counted(failed, "file"));
    print_problems(stream, list_in(result, "problems"));
    if (const std::uint64_t changed = number_in(result, "unnamed_changes"); changed > 0) {
        say(stream, "{} changed although the log does not say so:\n",
            counted(changed, "page has", "pages have"));
        for (const json& one : list_in(result, "unnamed"))
            say(stream, "  relation {} segment {} block {}\n", number_in(one, "relation"),
                number_in(one, "segment"), number_in(one, "block"));
    }
    for (const std::string& alarm : texts_in(result, "alarms")) say(stream, "{}\n", alarm);
}

// What a backup is known by that was finished by an attempt whose own report was lost.
bool is_only_listed(const json& result) { return !has(result, "snapshot"); }

} // namespace

int tell_backup(CommandContext& context, const json& result) {
    const bool postgres = text_in(result, "kind") == "postgresql" && !is_only_listed(result);
    context.report(result, [&] { postgres ? print_postgres(result) : print_documents(result); });
    if (!context.json()) {
        const auto print = postgres ? print_postgres_problems : print_documents_problems;
        print(context.problem_stream(), result);
    }
    return exit_code_of_backup(result);
}

int exit_code_of_backup(const json& result) { return is_partial(result) ? exit_incomplete : exit_done; }

} // namespace holdfast
