#include "base/error.h"
#include "cli/commands/repository_option.h"
#include "cli/text.h"
#include "service/snapshot_json.h"

#include <fmt/format.h>

namespace holdfast {

namespace {

struct Arguments {
    std::string repository;
    std::string snapshot;
    std::string reason;
    std::string owner;
};

int run_add(CommandContext& context, const Arguments& arguments) {
    const OpenRepository open = context.open(arguments.repository);
    const Snapshot snapshot = open.repository->find_snapshot(arguments.snapshot, "");
    const Statement hold = hold_snapshot(*open.repository, snapshot, arguments.reason, arguments.owner);
    context.report(hold_json(snapshot, hold), [&] {
        fmt::print("{} of '{}' from {} is held: {}\n", short_id(snapshot.id.hex()), snapshot.source,
                   local_time(snapshot.time), arguments.reason);
    });
    return exit_done;
}

int run_release(CommandContext& context, const Arguments& arguments) {
    const OpenRepository open = context.open(arguments.repository);
    const Snapshot snapshot = open.repository->find_snapshot(arguments.snapshot, "");
    const std::vector<Statement> released =
        release_holds(*open.repository, snapshot, arguments.owner, arguments.reason);
    if (released.empty()) {
        throw Error(ErrorCode::not_found, fmt::format("{} has no such hold", short_id(snapshot.id.hex())),
                    "'holdfast hold list' shows those that there are");
    }
    context.report({{"released", holds_json(snapshot, released)}}, [&] {
        for (const Statement& hold : released)
            fmt::print("{}: no longer held: {}\n", short_id(snapshot.id.hex()), hold.name);
    });
    return exit_done;
}

int run_list(CommandContext& context, const Arguments& arguments) {
    const OpenRepository open = context.open(arguments.repository);
    const AnnotatedList list = list_annotated(*open.repository);
    nlohmann::json value = nlohmann::json::array();
    for (const AnnotatedSnapshot& one : list.snapshots)
        for (const Statement& hold : one.standing.holds) value.push_back(hold_json(one.snapshot, hold));
    context.print(value, [&] {
        fmt::print("{:<10}{:<16}{:<21}{:<16}{}\n", "SNAPSHOT", "SOURCE", "HELD SINCE", "OWNER", "REASON");
        for (const AnnotatedSnapshot& one : list.snapshots) {
            for (const Statement& hold : one.standing.holds) {
                fmt::print("{:<10}{:<16}{:<21}{:<16}{}\n", short_id(one.snapshot.id.hex()),
                           one.snapshot.source, local_time(hold.time), hold.value.value_or("-"), hold.name);
            }
        }
        if (value.empty()) fmt::print("(none)\n");
    });
    for (const std::string& problem : list.problems)
        context.logger().warning("passed over", {{"reason", problem}});
    return list.problems.empty() ? exit_done : exit_incomplete;
}

} // namespace

void add_hold(CLI::App& app, RunCommand& run) {
    auto arguments = std::make_shared<Arguments>();
    CLI::App* command = app.add_subcommand("hold", "Snapshots that must not be forgotten");
    command->require_subcommand(1);
    const auto add = [&](const char* name, const char* text, int (*body)(CommandContext&, const Arguments&)) {
        CLI::App* sub = command->add_subcommand(name, text);
        add_repository_option(*sub, arguments->repository);
        sub->callback([arguments, body, &run] {
            run = [arguments, body](CommandContext& context) { return body(context, *arguments); };
        });
        return sub;
    };
    CLI::App* hold = add("add", "Hold a snapshot", run_add);
    hold->add_option("SNAPSHOT", arguments->snapshot, "An id, or the beginning of one")->required();
    hold->add_option("--reason", arguments->reason, "Why, for whoever finds it")->required();
    hold->add_option("--owner", arguments->owner, "Whom to ask whether it may go");
    CLI::App* release = add("release", "End the holds of a snapshot", run_release);
    release->add_option("SNAPSHOT", arguments->snapshot, "An id, or the beginning of one")->required();
    release->add_option("--owner", arguments->owner, "Only those of this owner, or the one of this id");
    release->add_option("--reason", arguments->reason, "Why");
    add("list", "Show all holds", run_list);
}

} // namespace holdfast
