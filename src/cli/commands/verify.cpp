#include "service/verify.h"

#include "base/error.h"
#include "cli/commands/repository_option.h"
#include "cli/text.h"

#include <fmt/format.h>

namespace holdfast {

namespace {

struct Arguments {
    std::string repository;
    std::vector<std::string> snapshots;
    std::string source;
    std::string sample;
    bool read_data = false;
    bool files = false;
    bool record = false;
};

// "5%" or "0.05".
double parse_part(const std::string& text) {
    try {
        std::size_t end = 0;
        const double number = std::stod(text, &end);
        const bool percent = text.substr(end) == "%";
        const double part = percent ? number / 100 : number;
        if ((percent || end == text.size()) && part > 0 && part <= 1) return part;
    } catch (const std::exception&) {
        // Told below, like everything else that is no part.
    }
    throw Error(ErrorCode::usage, fmt::format("--sample: '{}' is not a part of the whole", text),
                "write it as 5%");
}

nlohmann::json damages_json(const std::vector<Damage>& damages) {
    nlohmann::json value = nlohmann::json::array();
    for (const Damage& damage : damages) {
        value.push_back(
            {{"object", damage.object}, {"what", damage.what}, {"hint", damage.hint}, {"more", damage.more}});
    }
    return value;
}

nlohmann::json result_json(const VerifyReport& report) {
    nlohmann::json snapshots = nlohmann::json::array();
    for (const RunId& id : report.snapshots) snapshots.push_back(id.hex());
    nlohmann::json affected = nlohmann::json::array();
    for (const RunId& id : report.affected_snapshots) affected.push_back(id.hex());
    nlohmann::json paths = nlohmann::json::array();
    for (const AffectedPath& path : report.affected_paths) {
        paths.push_back({{"snapshot", path.snapshot.hex()}, {"path", path.path}});
    }
    return {{"intact", report.intact()},
            {"content", to_string(report.content)},
            {"snapshots", snapshots},
            {"objects", report.objects},
            {"nodes", report.nodes},
            {"packs", report.packs},
            {"pack_bytes", report.pack_bytes},
            {"packs_read", report.packs_read},
            {"bytes_read", report.bytes_read},
            {"frames_opened", report.frames_opened},
            {"raw_bytes", report.raw_bytes},
            {"blobs_identified", report.blobs_identified},
            {"files_checked", report.files_checked},
            {"files_closed", report.files_closed},
            {"index_segments", report.index_segments},
            {"log_slices", report.log_slices},
            {"log_bytes", report.log_bytes},
            {"index_entries", report.index_entries},
            {"orphan_packs", report.orphan_packs},
            {"orphan_bytes", report.orphan_bytes},
            {"damaged_objects", report.damaged_objects},
            {"damages", damages_json(report.damages)},
            {"unchecked", damages_json(report.unchecked)},
            {"closed_objects", report.closed.objects},
            {"closed", report.closed.by_kind},
            {"closed_hint", report.closed.hint},
            {"affected_snapshots", affected},
            {"affected_paths", paths},
            {"more_affected_paths", report.more_affected_paths}};
}

void print_result(const VerifyReport& report) {
    fmt::print("{}, {}, {} ({}), {}\n", counted(report.snapshots.size(), "snapshot"),
               counted(report.nodes, "node"), counted(report.packs, "pack"), format_bytes(report.pack_bytes),
               counted(report.index_segments, "index segment"));
    switch (report.content) {
    case ContentCheck::none:
        fmt::print("Structure checked; content was not read (--read-data does that)\n");
        break;
    case ContentCheck::digests:
        fmt::print("Read {} ({}): digests compared, content not decrypted, for lack of a key\n",
                   counted(report.packs_read, "pack"), format_bytes(report.bytes_read));
        break;
    case ContentCheck::decrypted:
        fmt::print("Read {} ({}): {} of content decrypted and proven\n", counted(report.packs_read, "pack"),
                   format_bytes(report.bytes_read), format_bytes(report.raw_bytes));
        if (report.files_checked > 0)
            fmt::print("Put {} together and compared the digests\n", counted(report.files_checked, "file"));
        break;
    }
    if (report.orphan_packs > 0) {
        fmt::print("Of no snapshot: {} ({}); 'holdfast prune' deletes what no backup under way needs\n",
                   counted(report.orphan_packs, "pack"), format_bytes(report.orphan_bytes));
    }
    if (report.intact() && report.all_checked()) fmt::print("Intact\n");
}

void print_closed(std::FILE* stream, const ClosedObjects& closed) {
    std::string kinds;
    for (const auto& [kind, objects] : closed.by_kind) {
        kinds +=
            fmt::format("{}{}", kinds.empty() ? "" : ", ",
                        counted(objects, kind, kind == "note of a moved pack" ? "notes of moved packs" : ""));
    }
    fmt::print(stream, "Not checked: {}, for lack of a key: {}\n", kinds, closed.hint);
}

void print_problems(std::FILE* stream, const VerifyReport& report) {
    for (const Damage& unchecked : report.unchecked) {
        fmt::print(stream, "Not checked: {}: {}\n", unchecked.object, unchecked.what);
    }
    if (report.closed.objects > 0) print_closed(stream, report.closed);
    if (report.files_closed)
        fmt::print(stream, "Not checked: the digests of files, for lack of a key for their content\n");
    if (report.intact()) {
        if (!report.all_checked()) fmt::print(stream, "Intact as far as it was checked\n");
        return;
    }
    fmt::print(stream, "{}DAMAGED: {}\n", stream == stdout ? "\n" : "",
               counted(report.damaged_objects, "object"));
    for (const Damage& damage : report.damages) {
        fmt::print(stream, "  {}: {}\n", damage.object, damage.what);
        if (damage.more > 0) fmt::print(stream, "    and {} in it\n", counted(damage.more, "more finding"));
        if (!damage.hint.empty()) fmt::print(stream, "    {}\n", damage.hint);
    }
    if (report.affected_snapshots.empty()) {
        fmt::print(stream, "No snapshot needs {}.\n", report.damaged_objects == 1 ? "it" : "them");
        return;
    }
    fmt::print(stream, "\nSnapshots that are not whole:\n");
    for (const RunId& id : report.affected_snapshots) fmt::print(stream, "  {}\n", short_id(id.hex()));
    fmt::print(stream, "Files that cannot be restored whole:\n");
    for (const AffectedPath& path : report.affected_paths) {
        fmt::print(stream, "  {} /{}\n", short_id(path.snapshot.hex()), path.path);
    }
    if (report.more_affected_paths) fmt::print(stream, "  …\n");
}

int run_verify(CommandContext& context, const Arguments& arguments) {
    VerifySettings settings;
    settings.compare_files = arguments.files;
    settings.read_data = arguments.read_data || arguments.files || !arguments.sample.empty();
    if (!arguments.sample.empty()) settings.sample_part = parse_part(arguments.sample);
    const OpenRepository open = context.open(arguments.repository);
    for (const std::string& name : arguments.snapshots) {
        settings.snapshots.push_back(open.repository->find_snapshot(name, "").id);
    }
    if (!arguments.source.empty()) {
        for (const Snapshot& snapshot : list_snapshots(open.repository->context()).snapshots)
            if (snapshot.source == arguments.source) settings.snapshots.push_back(snapshot.id);
        if (settings.snapshots.empty())
            throw Error(ErrorCode::usage,
                        fmt::format("there is no snapshot of source '{}'", arguments.source),
                        "list what there is with 'holdfast snapshots'");
    }
    Progress progress;
    VerifyReport report;
    {
        const ProgressDisplay display(progress, stderr, context.progress_style());
        report = verify_repository(*open.repository, settings, progress, context.stop());
    }
    if (arguments.record) record_verification(*open.repository, settings, report);
    context.report(result_json(report), [&] { print_result(report); });
    if (!context.json()) print_problems(context.problem_stream(), report);
    if (!report.intact()) return exit_failed;
    return report.all_checked() ? exit_done : exit_incomplete;
}

} // namespace

void add_verify(CLI::App& app, RunCommand& run) {
    auto a = std::make_shared<Arguments>();
    CLI::App* command = app.add_subcommand("verify", "Prove that the repository is whole");
    add_repository_option(*command, a->repository);
    CLI::Option* snapshots =
        command->add_option("SNAPSHOT", a->snapshots, "Only the trees of these (default: all)");
    command->add_option("--source", a->source, "Only the trees of the snapshots of this source")
        ->excludes(snapshots);
    command->add_flag("--read-data", a->read_data, "Read all content, decrypt it and prove it");
    command->add_flag("--files", a->files,
                      "Read all content, put every file together and compare its digest: takes longer");
    command->add_option("--sample", a->sample, "Read only this part of the packs, chosen at random: 5%");
    command->add_flag("--record", a->record, "Keep the result with the snapshots, as a signed statement");
    command->callback([a, &run] { run = [a](CommandContext& context) { return run_verify(context, *a); }; });
}

} // namespace holdfast
