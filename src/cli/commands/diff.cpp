#include "cli/commands/entry_output.h"
#include "cli/commands/repository_option.h"
#include "cli/say.h"
#include "documents/entry_name.h"
#include "service/bytes_json.h"
#include "service/compare_trees.h"

#include <map>
#include <utility>

#include <fmt/format.h>

namespace holdfast {

namespace {

struct Arguments {
    std::string repository;
    std::string before, after;
    std::string source;
};

char letter(ChangeKind kind) {
    switch (kind) {
    case ChangeKind::added:
        return '+';
    case ChangeKind::removed:
        return '-';
    case ChangeKind::modified:
        return 'M';
    case ChangeKind::metadata:
        return 'm';
    case ChangeKind::type:
        return 'T';
    case ChangeKind::unknown:
        return '?';
    }
    return '?';
}

bool is_whole(const TreeEntry* entry) {
    return entry == nullptr || entry->type != EntryType::directory ||
           (entry->flags & entry_flag::unreadable) == 0;
}

int run_diff(CommandContext& context, const Arguments& arguments) {
    const OpenRepository open = context.open(arguments.repository);
    Repository& repository = *open.repository;
    const Snapshot before = repository.find_snapshot(arguments.before, arguments.source);
    const Snapshot after = repository.find_snapshot(arguments.after, arguments.source);
    nlohmann::json changes = nlohmann::json::array();
    std::map<std::string, std::uint64_t> counts;
    int exit_code = exit_done;
    const auto tell_unknown = [&](const Change& directory) {
        exit_code = exit_incomplete;
        for (const auto& [entry, snapshot] :
             {std::pair(directory.before, &before), {directory.after, &after}}) {
            if (is_whole(entry)) continue;
            context.logger().warning(
                "not all of a directory is in a snapshot: it could not be listed, or is the repository",
                {{"path", "/" + printable(directory.path)}, {"snapshot", short_id(snapshot->id.hex())}});
        }
    };
    compare_trees(
        repository.nodes(), before.root, after.root,
        [&](const Change& change) {
            ++counts[std::string(to_string(change.kind))];
            if (change.kind == ChangeKind::unknown) tell_unknown(change);
            if (!context.json()) {
                const TreeEntry& entry = change.after != nullptr ? *change.after : *change.before;
                say("{} /{}{}\n", letter(change.kind), printable(change.path),
                    entry.type == EntryType::directory ? "/" : "");
                return true;
            }
            nlohmann::json value = {{"kind", to_string(change.kind)}};
            set_bytes(value, "path", "/" + change.path);
            if (change.before != nullptr) value["before"] = entry_json("/" + change.path, *change.before);
            if (change.after != nullptr) value["after"] = entry_json("/" + change.path, *change.after);
            changes.push_back(std::move(value));
            return true;
        },
        context.stop());
    context.print(
        {{"before", before.id.hex()}, {"after", after.id.hex()}, {"counts", counts}, {"changes", changes}},
        [&] {
            std::string summary;
            for (const auto& [kind, count] : counts)
                summary += fmt::format("{}{} {}", summary.empty() ? "" : ", ", count, kind);
            say("{} to {}: {}\n", short_id(before.id.hex()), short_id(after.id.hex()),
                summary.empty() ? "no differences" : summary);
        });
    return exit_code;
}

} // namespace

void add_diff(CLI::App& app, RunCommand& run) {
    auto a = std::make_shared<Arguments>();
    CLI::App* command = app.add_subcommand("diff", "Show in what two snapshots differ");
    add_repository_option(*command, a->repository);
    command->add_option("A", a->before, "The earlier snapshot")->required();
    command->add_option("B", a->after, "The later snapshot")->required();
    command->add_option("--source", a->source, "With latest: of this source");
    command->footer(
        "+ added, - removed, M content changed, m only metadata changed, T became something else,\n"
        "? a directory that a backup could not list whole: what only the other snapshot has of it is not "
        "told");
    command->callback([a, &run] { run = [a](CommandContext& context) { return run_diff(context, *a); }; });
}

} // namespace holdfast
