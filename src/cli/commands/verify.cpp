#include "service/verify.h"

#include "base/error.h"
#include "cli/at_server.h"
#include "cli/commands/repository_option.h"
#include "cli/commands/verify_output.h"
#include "service/bytes_json.h"

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

// The same as the API has it.
std::string part_text(const std::string& text) {
    const double part = parse_part(text);
    return text.ends_with('%') ? text : fmt::format("{}%", part * 100);
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
        nlohmann::json one = {{"snapshot", path.snapshot.hex()}};
        set_bytes(one, "path", path.path);
        paths.push_back(std::move(one));
    }
    return {{"intact", report.intact()},
            {"all_checked", report.all_checked()},
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
    return tell_verification(context, result_json(report));
}

int verify_at_server(CommandContext& context, const CLI::App& command, const Arguments& arguments) {
    refuse_options_but(command, {"--source", "--read-data", "--files", "--sample", "--record"});
    nlohmann::json request = nlohmann::json::object();
    if (!arguments.snapshots.empty()) request["snapshots"] = arguments.snapshots;
    set_unless_empty(request, "source", arguments.source);
    request["depth"] = arguments.files             ? "files"
                       : !arguments.sample.empty() ? part_text(arguments.sample)
                       : arguments.read_data       ? "all"
                                                   : "structure";
    return work_at_server(context, "/v1/verifications", request, tell_verification);
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
    command->callback([a, command, &run] {
        run = [a](CommandContext& context) { return run_verify(context, *a); };
        run.at_server = [a, command](CommandContext& context) {
            return verify_at_server(context, *command, *a);
        };
    });
}

} // namespace holdfast
