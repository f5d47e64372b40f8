#include "base/error.h"
#include "cli/commands/repository_option.h"

#include <fmt/format.h>

namespace holdfast {

namespace {

struct Arguments {
    std::string repository;
    std::vector<std::string> snapshots;
    bool even_the_last = false;
};

int run_forget(CommandContext& context, const Arguments& arguments) {
    const OpenRepository open = context.open(arguments.repository);
    // All are looked up, and all are judged, before the first is forgotten.
    std::vector<Snapshot> chosen;
    for (const std::string& name : arguments.snapshots)
        chosen.push_back(open.repository->find_snapshot(name, ""));
    std::set<RunId> ids;
    for (const Snapshot& snapshot : chosen) ids.insert(snapshot.id);
    forget_snapshots(open.repository->context(), ids, arguments.even_the_last);
    nlohmann::json value = nlohmann::json::array();
    for (const Snapshot& snapshot : chosen) value.push_back(snapshot.id.hex());
    context.report({{"forgotten", value}}, [&] {
        for (const Snapshot& snapshot : chosen) {
            fmt::print("Forgot {} of '{}' from {}\n", short_id(snapshot.id.hex()), snapshot.source,
                       local_time(snapshot.time));
        }
        fmt::print("{} space is freed by 'holdfast prune'.\n", chosen.size() == 1 ? "Its" : "Their");
    });
    return exit_done;
}

} // namespace

void add_forget(CLI::App& app, RunCommand& run) {
    auto arguments = std::make_shared<Arguments>();
    CLI::App* command = app.add_subcommand("forget", "Say that snapshots are no longer wanted");
    add_repository_option(*command, arguments->repository);
    command->add_option("SNAPSHOT", arguments->snapshots, "Ids, or beginnings of ids")->required();
    command->add_flag("--even-the-last", arguments->even_the_last, "Also the last snapshot of a source");
    command->callback([arguments, &run] {
        run = [arguments](CommandContext& context) { return run_forget(context, *arguments); };
    });
}

} // namespace holdfast
