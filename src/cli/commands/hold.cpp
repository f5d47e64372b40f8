#include "base/error.h"
#include "cli/at_server.h"
#include "cli/commands/repository_option.h"
#include "cli/fields.h"
#include "cli/problems.h"
#include "cli/say.h"
#include "service/snapshot_json.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

namespace holdfast {

namespace {

using nlohmann::json;

struct Arguments {
    std::string repository;
    std::string snapshot;
    std::string reason;
    std::string owner;
};

int tell_hold(CommandContext& context, const json& snapshot, const json& hold) {
    context.report(hold, [&] {
        say("{} of '{}' from {} is held: {}\n", short_id_in(snapshot, "id"), text_in(snapshot, "source"),
            local_time_in(snapshot, "time"), text_in(hold, "reason"));
    });
    return exit_done;
}

// `holds` were those of `snapshot`.
int tell_released(CommandContext& context, const std::string& snapshot, const json& holds) {
    if (holds.empty()) {
        throw Error(ErrorCode::not_found, fmt::format("{} has no such hold", short_id(snapshot)),
                    "'holdfast hold list' shows those that there are");
    }
    context.report({{"released", holds}}, [&] {
        for (const json& hold : holds)
            say("{}: no longer held: {}\n", short_id(snapshot), text_in(hold, "reason"));
    });
    return exit_done;
}

int tell_holds(CommandContext& context, const json& holds) {
    context.print(holds, [&] {
        say("{:<10}{:<16}{:<21}{:<16}{}\n", "SNAPSHOT", "SOURCE", "HELD SINCE", "OWNER", "REASON");
        for (const json& hold : holds)
            say("{:<10}{:<16}{:<21}{:<16}{}\n", short_id_in(hold, "snapshot"), text_in(hold, "source"),
                local_time_in(hold, "since"), has(hold, "owner") ? text_in(hold, "owner") : "-",
                text_in(hold, "reason"));
        if (holds.empty()) say("(none)\n");
    });
    return exit_done;
}

int run_add(CommandContext& context, const Arguments& arguments) {
    const OpenRepository open = context.open(arguments.repository);
    const Snapshot snapshot = open.repository->find_snapshot(arguments.snapshot, "");
    const Statement hold = hold_snapshot(*open.repository, snapshot, arguments.reason, arguments.owner);
    return tell_hold(context, to_json(snapshot), hold_json(snapshot, hold));
}

int run_release(CommandContext& context, const Arguments& arguments) {
    const OpenRepository open = context.open(arguments.repository);
    const Snapshot snapshot = open.repository->find_snapshot(arguments.snapshot, "");
    const std::vector<Statement> released =
        release_holds(*open.repository, snapshot, arguments.owner, arguments.reason);
    return tell_released(context, snapshot.id.hex(), holds_json(snapshot, released));
}

int run_list(CommandContext& context, const Arguments& arguments) {
    const OpenRepository open = context.open(arguments.repository);
    const AnnotatedList list = list_annotated(*open.repository);
    json value = json::array();
    for (const AnnotatedSnapshot& one : list.snapshots)
        for (const Statement& hold : one.standing.holds) value.push_back(hold_json(one.snapshot, hold));
    tell_holds(context, value);
    return tell_problems(context, list.problems);
}

std::string holds_path(const json& snapshot) {
    return fmt::format("/v1/snapshots/{}/holds", text_in(snapshot, "id"));
}

int add_at_server(CommandContext& context, const Arguments& arguments) {
    const json snapshot = snapshot_at_server(context, arguments.snapshot);
    json body = {{"reason", arguments.reason}};
    set_unless_empty(body, "owner", arguments.owner);
    return tell_hold(context, snapshot,
                     context.api().change({.path = holds_path(snapshot), .body = request_text(body)}));
}

// All of an owner go at once; those of nobody, one by one.
int release_at_server(CommandContext& context, const Arguments& arguments) {
    const json snapshot = snapshot_at_server(context, arguments.snapshot);
    std::vector<std::string> which;
    if (!arguments.owner.empty()) {
        which.push_back(arguments.owner);
    } else {
        const json holds = context.api().get("/v1/holds");
        std::set<std::string> owners;
        for (const json& hold : list_in(holds, "items")) {
            if (text_in(hold, "snapshot") != text_in(snapshot, "id")) continue;
            which.push_back(text_in(hold, "id"));
            owners.insert(has(hold, "owner") ? text_in(hold, "owner") : "");
        }
        require_one_owner(text_in(snapshot, "id"), owners);
        if (owners.size() == 1 && !owners.begin()->empty()) which = {*owners.begin()};
    }
    json released = json::array();
    int code = exit_done;
    for (const std::string& one : which) {
        std::string path = holds_path(snapshot) + "/" + url_part(one);
        if (!arguments.reason.empty()) path += "?reason=" + url_part(arguments.reason);
        const int told = change_at_server(context, {.method = "DELETE", .path = path},
                                          [&](CommandContext&, const json& answer) {
                                              for (const json& hold : list_in(answer, "released"))
                                                  released.push_back(hold);
                                              return exit_done;
                                          });
        code = std::max(code, told);
    }
    if (code != exit_done && released.empty()) return code;
    return std::max(code, tell_released(context, text_in(snapshot, "id"), released));
}

int list_at_server(CommandContext& context, const Arguments&) {
    const json holds = context.api().get("/v1/holds");
    tell_holds(context, list_in(holds, "items"));
    return tell_problems(context, texts_in(holds, "problems"));
}

} // namespace

void add_hold(CLI::App& app, RunCommand& run) {
    auto arguments = std::make_shared<Arguments>();
    CLI::App* command = app.add_subcommand("hold", "Snapshots that must not be forgotten");
    command->require_subcommand(1);
    using Body = int (*)(CommandContext&, const Arguments&);
    const auto add = [&](const char* name, const char* text, Body body, Body at_server) {
        CLI::App* sub = command->add_subcommand(name, text);
        add_repository_option(*sub, arguments->repository);
        sub->callback([arguments, body, at_server, &run] {
            run = [arguments, body](CommandContext& context) { return body(context, *arguments); };
            run.at_server = [arguments, at_server](CommandContext& context) {
                return at_server(context, *arguments);
            };
        });
        return sub;
    };
    CLI::App* hold = add("add", "Hold a snapshot", run_add, add_at_server);
    hold->add_option("SNAPSHOT", arguments->snapshot, "An id, or the beginning of one")->required();
    hold->add_option("--reason", arguments->reason, "Why, for whoever finds it")->required();
    hold->add_option("--owner", arguments->owner, "Whom to ask whether it may go");
    CLI::App* release = add("release", "End the holds of a snapshot", run_release, release_at_server);
    release->add_option("SNAPSHOT", arguments->snapshot, "An id, or the beginning of one")->required();
    release->add_option("--owner", arguments->owner, "Only those of this owner, or the one of this id");
    release->add_option("--reason", arguments->reason, "Why");
    add("list", "Show all holds", run_list, list_at_server);
}

} // namespace holdfast
