#include "cli/commands/repository_option.h"
#include "cli/fields.h"
#include "cli/problems.h"
#include "cli/say.h"
#include "client/api_client.h"
#include "service/annotate.h"
#include "service/snapshot_json.h"

#include <fmt/format.h>

namespace holdfast {

namespace {

using nlohmann::json;

struct Arguments {
    std::string repository;
    std::string source;
    std::string before;
    std::size_t newest = 0; // 0: all
};

std::string tags_text(const json& snapshot) {
    std::string text = list_in(snapshot, "holds").empty() ? "" : "(held)";
    for (const auto& [key, value] : list_in(snapshot, "tags").items())
        text += fmt::format("{}{}={}", text.empty() ? "" : " ", key, value.get<std::string>());
    return text;
}

void print_snapshots(const json& snapshots) {
    say("{:<10}{:<21}{:<16}{:>10}  {:>10}  {:>8}  {:<10}{}\n", "ID", "TIME", "SOURCE", "SIZE", "ADDED",
        "TOOK", "STATE", "TAGS");
    for (const json& one : snapshots) {
        say("{:<10}{:<21}{:<16}{:>10}  {:>10}  {:>8}  {:<10}{}\n", short_id_in(one, "id"),
            local_time_in(one, "time"), text_in(one, "source"), format_bytes(number_in(one, "size_bytes")),
            format_bytes(number_in(one, "added_bytes")), format_duration(real_in(one, "duration_seconds")),
            text_in(one, "state"), tags_text(one));
    }
    if (snapshots.empty()) say("(none)\n");
}

// Takes those that are asked for, of all, the newest first.
class Selection {
  public:
    explicit Selection(const Arguments& arguments) : arguments_(arguments) {
        if (!arguments.before.empty()) before_ = from_rfc3339(arguments.before);
    }
    bool is_full() const { return arguments_.newest != 0 && chosen_.size() >= arguments_.newest; }
    void take(json snapshot) {
        if (is_full()) return;
        if (!arguments_.source.empty() && text_in(snapshot, "source") != arguments_.source) return;
        if (before_ && time_in(snapshot, "end") > before_) return;
        chosen_.push_back(std::move(snapshot));
    }
    const json& chosen() const { return chosen_; }

  private:
    const Arguments& arguments_;
    std::optional<Timestamp> before_;
    json chosen_ = json::array();
};

int tell_snapshots(CommandContext& context, const json& chosen, std::uint64_t unreadable,
                   const std::vector<std::string>& problems) {
    context.print(chosen, [&] {
        print_snapshots(chosen);
        if (unreadable > 0) say("{} more that this key cannot read\n", unreadable);
    });
    return tell_problems(context, problems);
}

int run_snapshots(CommandContext& context, const Arguments& arguments) {
    Selection selection(arguments);
    const OpenRepository open = context.open(arguments.repository);
    const AnnotatedList list = list_annotated(*open.repository);
    for (auto one = list.snapshots.rbegin(); one != list.snapshots.rend(); ++one)
        selection.take(to_json(*one));
    return tell_snapshots(context, selection.chosen(), list.unreadable, list.problems);
}

int snapshots_at_server(CommandContext& context, const Arguments& arguments) {
    Selection selection(arguments);
    ApiQuery query;
    if (!arguments.source.empty()) query.emplace_back("source", arguments.source);
    std::uint64_t unreadable = 0;
    std::vector<std::string> problems;
    context.api().each_part("/v1/snapshots", query, [&](const json& part) {
        for (const json& snapshot : part["items"]) selection.take(snapshot);
        unreadable = number_in(part, "unreadable");
        problems = texts_in(part, "problems");
        return !selection.is_full();
    });
    return tell_snapshots(context, selection.chosen(), unreadable, problems);
}

} // namespace

void add_snapshots(CLI::App& app, RunCommand& run) {
    auto arguments = std::make_shared<Arguments>();
    CLI::App* command = app.add_subcommand("snapshots", "List snapshots, newest first");
    add_repository_option(*command, arguments->repository);
    command->add_option("--source", arguments->source, "Only of this source");
    command->add_option("--before", arguments->before, "Only those that were complete by then, RFC 3339");
    command->add_option("--newest", arguments->newest, "Only so many")->check(CLI::PositiveNumber);
    command->callback([arguments, &run] {
        run = [arguments](CommandContext& context) { return run_snapshots(context, *arguments); };
        run.at_server = [arguments](CommandContext& context) {
            return snapshots_at_server(context, *arguments);
        };
    });
}

} // namespace holdfast
