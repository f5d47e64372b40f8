#include "base/error.h"
#include "cli/commands/entry_output.h"
#include "cli/commands/repository_option.h"
#include "cli/say.h"
#include "documents/entry_name.h"
#include "service/find_entries.h"

#include <fmt/format.h>

namespace holdfast {

namespace {

struct Arguments {
    std::string repository;
    std::vector<std::string> patterns, types;
    std::string snapshot, source, larger, smaller, newer, older;
    bool long_form = false;
};

FileTime parse_time(const std::string& text) {
    const Timestamp time = from_rfc3339(text.size() == 10 ? text + "T00:00:00Z" : text);
    const auto seconds = std::chrono::floor<std::chrono::seconds>(time.time_since_epoch());
    return {seconds.count(), static_cast<std::uint32_t>((time.time_since_epoch() - seconds).count())};
}

EntryType parse_type(const std::string& name) {
    for (const EntryType type : {EntryType::file, EntryType::directory, EntryType::symlink, EntryType::fifo,
                                 EntryType::socket, EntryType::character_device, EntryType::block_device}) {
        if (name == entry_type_name(type) || name == std::string(1, static_cast<char>(type))) return type;
    }
    throw Error(ErrorCode::usage, fmt::format("--type: there is no type '{}'", name),
                "regular, directory, symlink, fifo, socket, char_device or block_device");
}

int run_find(CommandContext& context, const Arguments& arguments) {
    FindSettings settings;
    settings.patterns = arguments.patterns;
    for (const std::string& type : arguments.types) settings.types.push_back(parse_type(type));
    if (!arguments.larger.empty()) settings.least_size = parse_size(arguments.larger, "--larger");
    if (!arguments.smaller.empty()) settings.most_size = parse_size(arguments.smaller, "--smaller");
    if (!arguments.newer.empty()) settings.not_before = parse_time(arguments.newer);
    if (!arguments.older.empty()) settings.not_after = parse_time(arguments.older);

    const OpenRepository open = context.open(arguments.repository);
    Repository& repository = *open.repository;
    std::vector<Snapshot> snapshots;
    if (!arguments.snapshot.empty()) {
        snapshots.push_back(repository.find_snapshot(arguments.snapshot, arguments.source));
    } else {
        for (Snapshot& snapshot : list_snapshots(repository.context()).snapshots) {
            if (arguments.source.empty() || snapshot.source == arguments.source)
                snapshots.push_back(std::move(snapshot));
        }
    }
    nlohmann::json value = nlohmann::json::array();
    find_entries(
        repository.nodes(), snapshots, settings,
        [&](const FoundEntry& found) {
            const std::string path = "/" + found.path;
            if (context.json()) {
                nlohmann::json entry = entry_json(path, found.entry);
                entry["snapshot"] = found.snapshot.id.hex();
                value.push_back(std::move(entry));
            } else {
                say("{} {}\n", short_id(found.snapshot.id.hex()),
                    arguments.long_form ? entry_line(path, found.entry) : printable(path));
            }
            return true;
        },
        context.stop());
    context.print(value, [] {});
    return exit_done;
}

} // namespace

void add_find(CLI::App& app, RunCommand& run) {
    auto a = std::make_shared<Arguments>();
    CLI::App* command = app.add_subcommand("find", "Find files in snapshots");
    add_repository_option(*command, a->repository);
    command->add_option("PATTERN", a->patterns, "As for --exclude: *.txt, /srv/docs/a, cache/")->required();
    command->add_option("--snapshot", a->snapshot, "Only in this snapshot (default: in all)");
    command->add_option("--source", a->source, "Only in snapshots of this source");
    command->add_option("--type", a->types, "regular, directory, symlink …; may be repeated")
        ->allow_extra_args(false);
    command->add_option("--larger", a->larger, "Files of at least this size");
    command->add_option("--smaller", a->smaller, "Files of at most this size");
    command->add_option("--newer", a->newer,
                        "Modified at this time or later: 2026-11-20 or 2026-11-20T10:00:00Z");
    command->add_option("--older", a->older, "Modified at this time or earlier");
    command->add_flag("--long,-l", a->long_form, "With mode, owner, size and time");
    command->callback([a, &run] { run = [a](CommandContext& context) { return run_find(context, *a); }; });
}

} // namespace holdfast
