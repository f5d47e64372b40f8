#include "cli/commands/repository_option.h"
#include "cli/say.h"
#include "cli/text.h"
#include "service/repair_index.h"

#include <fmt/format.h>

namespace holdfast {

namespace {

struct Arguments {
    std::string repository;
};

int run_repair_index(CommandContext& context, const Arguments& arguments) {
    const OpenRepository open = context.open(arguments.repository);
    Progress progress;
    RepairReport report;
    {
        const ProgressDisplay display(progress, stderr, context.progress_style());
        report = repair_index(*open.repository, progress, context.stop());
    }
    context.report({{"packs", report.packs},
                    {"unreadable_packs", report.unreadable_packs},
                    {"blobs", report.blobs},
                    {"new_segments", report.new_segments},
                    {"new_bytes", report.new_bytes},
                    {"removed_segments", report.removed_segments},
                    {"damaged_segments", report.damaged_segments},
                    {"moves", report.moves},
                    {"problems", report.problems}},
                   [&] {
                       say("Read the tables of {}: {}, in {} ({})\n", counted(report.packs, "pack"),
                           counted(report.blobs, "blob"), counted(report.new_segments, "new index segment"),
                           format_bytes(report.new_bytes));
                       say("Removed {}, {} of them damaged\n", counted(report.removed_segments, "segment"),
                           report.damaged_segments.size());
                       for (const std::string& name : report.moves)
                           say("Put {} again, which was lost\n", name);
                   });
    if (!context.json()) {
        for (const std::string& problem : report.problems) say(context.problem_stream(), "  {}\n", problem);
    }
    return report.unreadable_packs > 0 || !report.problems.empty() ? exit_incomplete : exit_done;
}

} // namespace

void add_repair(CLI::App& app, RunCommand& run) {
    auto a = std::make_shared<Arguments>();
    CLI::App* repair = app.add_subcommand("repair", "Make anew what can be made from the rest");
    repair->require_subcommand(1);
    CLI::App* index = repair->add_subcommand("index", "Make the index from the packs");
    add_repository_option(*index, a->repository);
    index->callback(
        [a, &run] { run = [a](CommandContext& context) { return run_repair_index(context, *a); }; });
}

} // namespace holdfast
