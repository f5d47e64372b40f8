// What takes a second person.
#include "base/error.h"
#include "base/json_text.h"
#include "cli/at_server.h"
#include "cli/commands/server_command.h"
#include "cli/fields.h"
#include "cli/say.h"

#include <fmt/format.h>

namespace holdfast {

namespace {

using nlohmann::json;

struct Arguments {
    std::string id;
    bool all = false;
};

std::string path_of(const Arguments& arguments) { return "/v1/approvals/" + url_part(arguments.id); }

// For a decision, or, approved, for what hinders it to pass.
bool waits(const json& approval) {
    const std::string state = text_in(approval, "state");
    return state == "pending" || (state == "approved" && !has(approval, "answer"));
}

int list_approvals(CommandContext& context, const Arguments& arguments) {
    json approvals = json::array();
    context.api().each("/v1/approvals", {}, [&](const json& approval) {
        if (arguments.all || waits(approval)) approvals.push_back(approval);
        return true;
    });
    context.print(approvals, [&] {
        say("{:<34}{:<20}{:<20}{:<10}{}\n", "ID", "ACTION", "ASKED BY", "STATE", "UNTIL");
        for (const json& one : approvals)
            say("{:<34}{:<20}{:<20}{:<10}{}\n", text_in(one, "id"), text_in(one, "action"),
                text_in(one, "requested_by"), text_in(one, "state"), local_time_in(one, "expires"));
        if (approvals.empty()) say("(none)\n");
    });
    return exit_done;
}

int show_approval(CommandContext& context, const Arguments& arguments) {
    const json approval = context.api().get(path_of(arguments));
    context.print(approval, [&] {
        const json& request = list_in(approval, "request");
        say("{}: {}\n", text_in(approval, "action"), text_in(approval, "state"));
        say("  asked for by {} {}, until {}\n", text_in(approval, "requested_by"),
            local_time_in(approval, "created"), local_time_in(approval, "expires"));
        say("  {} {}\n", text_in(request, "method"), text_in(request, "path"));
        for (const json& parameter : list_in(request, "query"))
            if (parameter.is_array() && parameter.size() == 2)
                say("  {} = {}\n", plain_text(parameter[0]), plain_text(parameter[1]));
        say("  {}\n", json_text(list_in(request, "body")));
        if (has(approval, "decided"))
            say("  decided by {} {}\n", text_in(approval, "decided_by"), local_time_in(approval, "decided"));
    });
    return exit_done;
}

// What came of it is the answer to who had asked; a token's secret in it is for the one who approves to hand
// over, and is printed once.
int tell_decision(CommandContext& context, const json& decision) {
    const json& answer = list_in(decision, "answer");
    const json& body = list_in(answer, "body");
    const std::uint64_t status = number_in(answer, "status");
    const bool later = status == 503 || status == 504, failed = status >= 400;
    context.print(decision, [&] {
        say("{} is {}\n", text_in(decision, "approval"), text_in(decision, "state"));
        if (has(body, "operation")) say("It has begun: the operation {}\n", text_in(body, "operation"));
        if (has(body, "token")) say("{}\n", text_in(body, "token"));
        if (has(body, "authenticator")) say("{}\n", text_in(body, "authenticator"));
        if (failed)
            say("It {}: {}\n", later ? "could not be done yet" : "was not done", text_in(body, "detail"));
        if (later)
            say("The server tries again for a day; to call it back: holdfast approvals reject {}\n",
                text_in(decision, "approval"));
    });
    return later ? exit_incomplete : failed ? exit_failed : exit_done;
}

int approve(CommandContext& context, const Arguments& arguments) {
    return tell_decision(context, context.api().change({.path = path_of(arguments) + "/approve"}));
}

int reject(CommandContext& context, const Arguments& arguments) {
    return tell_decision(context, context.api().change({.path = path_of(arguments) + "/reject"}));
}

} // namespace

void add_approvals(CLI::App& app, RunCommand& run) {
    auto a = std::make_shared<Arguments>();
    CLI::App* group = app.add_subcommand("approvals", "What takes a second person at a server");
    group->require_subcommand(1);
    const auto add = [&](const char* name, const char* text, int (*body)(CommandContext&, const Arguments&)) {
        return add_server_command(*group, run, name, text, a, body);
    };
    add("list", "What waits for a second person", list_approvals)
        ->add_flag("--all", a->all, "Also what has been decided");
    add("show", "What was asked for, by whom", show_approval)
        ->add_option("APPROVAL", a->id, "Its id")
        ->required();
    add("approve", "Approve of it, and have it done", approve)
        ->add_option("APPROVAL", a->id, "Its id")
        ->required();
    add("reject", "Reject it", reject)->add_option("APPROVAL", a->id, "Its id")->required();
}

} // namespace holdfast
