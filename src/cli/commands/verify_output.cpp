#include "cli/commands/verify_output.h"

#include "cli/fields.h"
#include "cli/say.h"
#include "cli/text.h"

#include <fmt/format.h>

namespace holdfast {

namespace {

using nlohmann::json;

void print_result(const json& result) {
    say("{}, {}, {} ({}), {}\n", counted(list_in(result, "snapshots").size(), "snapshot"),
        counted(number_in(result, "nodes"), "node"), counted(number_in(result, "packs"), "pack"),
        format_bytes(number_in(result, "pack_bytes")),
        counted(number_in(result, "index_segments"), "index segment"));
    const std::string content = text_in(result, "content");
    const std::string packs = counted(number_in(result, "packs_read"), "pack");
    const std::string bytes = format_bytes(number_in(result, "bytes_read"));
    if (content == "none") {
        say("Structure checked; content was not read (--read-data does that)\n");
    } else if (content == "digests") {
        say("Read {} ({}): digests compared, content not decrypted, for lack of a key\n", packs, bytes);
    } else {
        say("Read {} ({}): {} of content decrypted and proven\n", packs, bytes,
            format_bytes(number_in(result, "raw_bytes")));
        if (const std::uint64_t files = number_in(result, "files_checked"); files > 0)
            say("Put {} together and compared the digests\n", counted(files, "file"));
    }
    if (const std::uint64_t orphans = number_in(result, "orphan_packs"); orphans > 0) {
        say("Of no snapshot: {} ({}); 'holdfast prune' deletes what no backup under way needs\n",
            counted(orphans, "pack"), format_bytes(number_in(result, "orphan_bytes")));
    }
    if (flag_in(result, "intact") && flag_in(result, "all_checked")) say("Intact\n");
}

void print_closed(std::FILE* stream, const json& result) {
    std::string kinds;
    for (const auto& [kind, objects] : list_in(result, "closed").items()) {
        kinds += fmt::format("{}{}", kinds.empty() ? "" : ", ",
                             counted(objects.get<std::uint64_t>(), kind,
                                     kind == "note of a moved pack" ? "notes of moved packs" : ""));
    }
    say(stream, "Not checked: {}, for lack of a key: {}\n", kinds, text_in(result, "closed_hint"));
}

void print_damages(std::FILE* stream, const json& damages) {
    for (const json& damage : damages) {
        say(stream, "  {}: {}\n", text_in(damage, "object"), text_in(damage, "what"));
        if (const std::uint64_t more = number_in(damage, "more"); more > 0)
            say(stream, "    and {} in it\n", counted(more, "more finding"));
        if (const std::string hint = text_in(damage, "hint"); !hint.empty()) say(stream, "    {}\n", hint);
    }
}

void print_affected(std::FILE* stream, const json& result) {
    say(stream, "\nSnapshots that are not whole:\n");
    for (const std::string& id : texts_in(result, "affected_snapshots")) say(stream, "  {}\n", short_id(id));
    say(stream, "Files that cannot be restored whole:\n");
    for (const json& path : list_in(result, "affected_paths"))
        say(stream, "  {} /{}\n", short_id_in(path, "snapshot"), text_in(path, "path"));
    if (flag_in(result, "more_affected_paths")) say(stream, "  …\n");
}

void print_problems(std::FILE* stream, const json& result) {
    for (const json& unchecked : list_in(result, "unchecked")) {
        say(stream, "Not checked: {}: {}\n", text_in(unchecked, "object"), text_in(unchecked, "what"));
    }
    if (number_in(result, "closed_objects") > 0) print_closed(stream, result);
    if (flag_in(result, "files_closed"))
        say(stream, "Not checked: the digests of files, for lack of a key for their content\n");
    if (flag_in(result, "intact")) {
        if (!flag_in(result, "all_checked")) say(stream, "Intact as far as it was checked\n");
        return;
    }
    const std::uint64_t damaged = number_in(result, "damaged_objects");
    if (stream == stdout) say("\n");
    say(stream, "DAMAGED: {}\n", counted(damaged, "object"));
    print_damages(stream, list_in(result, "damages"));
    if (list_in(result, "affected_snapshots").empty()) {
        say(stream, "No snapshot needs {}.\n", damaged == 1 ? "it" : "them");
    } else {
        print_affected(stream, result);
    }
}

} // namespace

int tell_verification(CommandContext& context, const json& result) {
    context.report(result, [&] { print_result(result); });
    if (!context.json()) print_problems(context.problem_stream(), result);
    if (!flag_in(result, "intact")) return exit_failed;
    return flag_in(result, "all_checked") ? exit_done : exit_incomplete;
}

} // namespace holdfast
