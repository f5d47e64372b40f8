#include "base/error.h"
#include "cli/commands/repository_option.h"
#include "cli/pair_option.h"
#include "service/annotate.h"

#include <fmt/format.h>

namespace holdfast {

namespace {

struct Arguments {
    std::string repository;
    std::string snapshot;
    std::vector<std::string> tags, removed;
};

int run_tag(CommandContext& context, const Arguments& arguments) {
    const auto tags = parse_pairs(arguments.tags, "TAG");
    if (tags.empty() && arguments.removed.empty())
        throw Error(ErrorCode::usage, "no tag is named", "give NAME=VALUE, or --remove NAME");
    const OpenRepository open = context.open(arguments.repository);
    const Snapshot snapshot = open.repository->find_snapshot(arguments.snapshot, "");
    set_tags(*open.repository, snapshot, tags, arguments.removed);
    context.report({{"snapshot", snapshot.id.hex()}, {"set", tags}, {"removed", arguments.removed}}, [&] {
        for (const auto& [name, value] : tags)
            fmt::print("{}: {}={}\n", short_id(snapshot.id.hex()), name, value);
        for (const std::string& name : arguments.removed)
            fmt::print("{}: no tag {}\n", short_id(snapshot.id.hex()), name);
    });
    return exit_done;
}

} // namespace

void add_tag(CLI::App& app, RunCommand& run) {
    auto arguments = std::make_shared<Arguments>();
    CLI::App* command = app.add_subcommand("tag", "Set tags of a snapshot, or take them away");
    add_repository_option(*command, arguments->repository);
    command->add_option("SNAPSHOT", arguments->snapshot, "An id, or the beginning of one")->required();
    command->add_option("TAG", arguments->tags, "NAME=VALUE");
    command->add_option("--remove", arguments->removed, "A name; may be repeated")
        ->type_name("NAME")
        ->expected(1)
        ->take_all();
    command->callback([arguments, &run] {
        run = [arguments](CommandContext& context) { return run_tag(context, *arguments); };
    });
}

} // namespace holdfast
