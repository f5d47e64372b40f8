#include "base/error.h"
#include "cli/at_server.h"
#include "cli/commands/repository_option.h"
#include "cli/configuration.h"
#include "cli/fields.h"
#include "cli/pair_option.h"
#include "cli/say.h"
#include "service/annotate.h"
#include "service/stated_policies.h"

#include <fmt/format.h>

namespace holdfast {

namespace {

struct Arguments {
    std::string repository;
    std::string snapshot;
    std::vector<std::string> tags, removed;
};

struct Change {
    std::map<std::string, std::string> set;
    std::vector<std::string> removed;
};

Change change_of(const Arguments& arguments) {
    Change change{.set = parse_pairs(arguments.tags, "TAG"), .removed = arguments.removed};
    if (change.set.empty() && change.removed.empty())
        throw Error(ErrorCode::usage, "no tag is named", "give NAME=VALUE, or --remove NAME");
    return change;
}

int tell_change(CommandContext& context, const std::string& snapshot, const Change& change) {
    context.report({{"snapshot", snapshot}, {"set", change.set}, {"removed", change.removed}}, [&] {
        for (const auto& [name, value] : change.set) say("{}: {}={}\n", short_id(snapshot), name, value);
        for (const std::string& name : change.removed) say("{}: no tag {}\n", short_id(snapshot), name);
    });
    return exit_done;
}

int run_tag(CommandContext& context, const Arguments& arguments) {
    const Change change = change_of(arguments);
    const OpenRepository open = context.open(arguments.repository);
    const Snapshot snapshot = open.repository->find_snapshot(arguments.snapshot, "");
    require_class_in_force(*open.repository, context.configuration().policies, change.set);
    set_tags(*open.repository, snapshot, change.set, change.removed);
    return tell_change(context, snapshot.id.hex(), change);
}

// What is set and taken away by name says the same of any version.
int tag_at_server(CommandContext& context, const Arguments& arguments) {
    const Change change = change_of(arguments);
    const std::string id = text_in(snapshot_at_server(context, arguments.snapshot), "id");
    const nlohmann::json body = {{"set", change.set}, {"remove", change.removed}};
    return change_at_server(context,
                            {.method = "PATCH",
                             .path = fmt::format("/v1/snapshots/{}/tags", id),
                             .body = request_text(body),
                             .if_match = "*"},
                            [&](CommandContext& told, const nlohmann::json& tags) {
                                return tell_change(told, text_in(tags, "snapshot"), change);
                            });
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
        run.at_server = [arguments](CommandContext& context) { return tag_at_server(context, *arguments); };
    });
}

} // namespace holdfast
