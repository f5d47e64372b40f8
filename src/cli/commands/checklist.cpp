// What is to be seen to each day, week, month and quarter, at a server.
#include "cli/at_server.h"
#include "cli/commands/server_command.h"
#include "cli/fields.h"
#include "cli/say.h"

#include <fmt/format.h>

namespace holdfast {

namespace {

using nlohmann::json;

constexpr int most_periods = 60, usual_periods = 12;

struct Arguments {
    std::string list, item, note;
    int periods = usual_periods;
};

bool is_missed(const json& state) { return text_in(state, "state") == "missed"; }

// Who ticked it and what he says, or why it is not ticked.
std::string remark_on(const json& item) {
    if (text_in(item, "state") == "done")
        return fmt::format("{} {}{}", local_time_in(item, "at"),
                           has(item, "by") ? text_in(item, "by") : "by itself",
                           text_in(item, "note").empty() ? "" : ": " + text_in(item, "note"));
    const std::string seen = text_in(item, "seen");
    if (!is_missed(list_in(item, "last"))) return seen;
    return fmt::format("missed in the last period{}{}", seen.empty() ? "" : "; ", seen);
}

void print_items(const json& items) {
    for (const json& item : items) {
        const std::string state = text_in(item, "state"), remark = remark_on(item);
        say("  {:<8}{:<16}{}\n", state, text_in(item, "name"), text_in(item, "text"));
        if (!remark.empty()) say("{:26}{}\n", "", remark);
    }
}

int list_checklists(CommandContext& context, const Arguments&) {
    const json lists = list_in(context.api().get("/v1/checklists"), "items");
    context.print(lists, [&] {
        for (const json& list : lists) {
            say("{}: until {}\n", text_in(list, "name"), local_time_in(list, "ends"));
            print_items(list_in(list, "items"));
        }
        if (lists.empty()) say("(none)\n");
    });
    return exit_done;
}

int show_checklist(CommandContext& context, const Arguments& arguments) {
    const json list = context.api().get("/v1/checklists/" + url_part(arguments.list),
                                        {{"periods", std::to_string(arguments.periods)}});
    context.print(list, [&] {
        say("{}: each {}, {}\n", text_in(list, "name"), text_in(list, "every"), text_in(list, "time_zone"));
        for (const json& period : list_in(list, "periods")) {
            say("{} to {}\n", local_time_in(period, "begins"), local_time_in(period, "ends"));
            print_items(list_in(period, "items"));
        }
    });
    return exit_done;
}

int tick_item(CommandContext& context, const Arguments& arguments) {
    json body = json::object();
    set_unless_empty(body, "note", arguments.note);
    const json answer =
        context.api().change({.path = fmt::format("/v1/checklists/{}/items/{}/tick", url_part(arguments.list),
                                                  url_part(arguments.item)),
                              .body = request_text(body)});
    context.report(answer, [&] {
        say("{} of {} is ticked until {}{}\n", text_in(answer, "name"), text_in(answer, "list"),
            local_time_in(answer, "ends"),
            flag_in(answer, "ticked_now") ? "" : "; it was before: " + remark_on(answer));
    });
    return exit_done;
}

} // namespace

void add_checklist(CLI::App& app, RunCommand& run) {
    auto a = std::make_shared<Arguments>();
    CLI::App* group =
        app.add_subcommand("checklist", "What is to be seen to each day, week, month and quarter");
    group->require_subcommand(1);
    const auto add = [&](const char* name, const char* text, int (*body)(CommandContext&, const Arguments&)) {
        return add_server_command(*group, run, name, text, a, body);
    };
    add("list", "All lists: what is done, and what is due", list_checklists);
    CLI::App* show = add("show", "A list in its last periods: what was done, and missed", show_checklist);
    show->add_option("LIST", a->list, "Its name")->required();
    show->add_option("--periods", a->periods, "How many")
        ->check(CLI::Range(1, most_periods))
        ->capture_default_str();
    CLI::App* tick = add("tick", "Say that something was seen to, for the period of now", tick_item);
    tick->add_option("LIST", a->list, "Of which list")->required();
    tick->add_option("ITEM", a->item, "What")->required();
    tick->add_option("--note", a->note, "What there is to say about it");
}

} // namespace holdfast
