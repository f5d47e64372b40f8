#include "cli/commands/repository_option.h"
#include "service/annotate.h"
#include "service/snapshot_json.h"

#include <algorithm>

#include <fmt/format.h>

namespace holdfast {

namespace {

struct Arguments {
    std::string repository;
    std::string source;
    std::string before;
    std::size_t newest = 0; // 0: all
};

std::string tags_text(const Standing& standing) {
    std::string text = standing.holds.empty() ? "" : "(held)";
    for (const auto& [key, value] : standing.tags)
        text += fmt::format("{}{}={}", text.empty() ? "" : " ", key, value);
    return text;
}

int run_snapshots(CommandContext& context, const Arguments& arguments) {
    const OpenRepository open = context.open(arguments.repository);
    AnnotatedList list = list_annotated(*open.repository);
    std::erase_if(list.snapshots, [&](const AnnotatedSnapshot& one) {
        return !arguments.source.empty() && one.snapshot.source != arguments.source;
    });
    if (!arguments.before.empty()) {
        const Timestamp before = from_rfc3339(arguments.before);
        std::erase_if(list.snapshots,
                      [&](const AnnotatedSnapshot& one) { return one.snapshot.end > before; });
    }
    std::reverse(list.snapshots.begin(), list.snapshots.end());
    if (arguments.newest != 0 && list.snapshots.size() > arguments.newest)
        list.snapshots.resize(arguments.newest);

    nlohmann::json value = nlohmann::json::array();
    for (const AnnotatedSnapshot& one : list.snapshots) value.push_back(to_json(one));
    context.print(value, [&] {
        fmt::print("{:<10}{:<21}{:<16}{:>10}  {:>10}  {:>8}  {:<10}{}\n", "ID", "TIME", "SOURCE", "SIZE",
                   "ADDED", "TOOK", "STATE", "TAGS");
        for (const auto& [snapshot, standing] : list.snapshots) {
            fmt::print("{:<10}{:<21}{:<16}{:>10}  {:>10}  {:>8}  {:<10}{}\n", short_id(snapshot.id.hex()),
                       local_time(snapshot.time), snapshot.source, format_bytes(snapshot.totals.bytes),
                       format_bytes(snapshot.totals.stored_bytes),
                       format_duration(std::chrono::duration<double>(snapshot.end - snapshot.time).count()),
                       to_string(snapshot.state), tags_text(standing));
        }
        if (list.snapshots.empty()) fmt::print("(none)\n");
        if (list.unreadable > 0) fmt::print("{} more that this key cannot read\n", list.unreadable);
    });
    for (const std::string& problem : list.problems)
        context.logger().warning("passed over", {{"reason", problem}});
    return list.problems.empty() ? exit_done : exit_incomplete;
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
    });
}

} // namespace holdfast
