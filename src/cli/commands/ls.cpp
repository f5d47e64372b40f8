#include "base/error.h"
#include "cli/commands/entry_output.h"
#include "cli/commands/repository_option.h"
#include "cli/say.h"
#include "documents/entry_name.h"
#include "repository/node/directory_cursor.h"

#include <fmt/format.h>

namespace holdfast {

namespace {

struct Arguments {
    std::string repository;
    std::string snapshot = "latest";
    std::string path;
    std::string source;
    bool recursive = false;
    bool long_form = false;
};

// A directory whose entries are being listed.
struct Level {
    DirectoryCursor cursor;
    std::string path;
};

// What is told of a listing.
struct Listing {
    std::function<void(const std::string& path, const TreeEntry&)> show;
    // Of a directory that is listed, and of which the backup could not list all.
    std::function<void(const std::string& path)> incomplete;
};

void list(Repository& repository, const NodeRef& directory, const std::string& path, bool recursive,
          const Listing& listing) {
    std::vector<Level> levels;
    levels.push_back({DirectoryCursor(repository.nodes(), directory), path});
    while (!levels.empty()) {
        const TreeEntry* entry = levels.back().cursor.next();
        if (entry == nullptr) {
            levels.pop_back();
            continue;
        }
        const std::string entry_path = levels.back().path + "/" + entry->name;
        listing.show(entry_path, *entry);
        if (recursive && entry->type == EntryType::directory) {
            if ((entry->flags & entry_flag::unreadable) != 0) listing.incomplete(entry_path);
            const NodeRef children = entry->children;
            levels.push_back({DirectoryCursor(repository.nodes(), children), entry_path});
        }
    }
}

int run_ls(CommandContext& context, const Arguments& arguments) {
    const OpenRepository open = context.open(arguments.repository);
    Repository& repository = *open.repository;
    const Snapshot snapshot = repository.find_snapshot(arguments.snapshot, arguments.source);
    std::string path = arguments.path;
    while (path.starts_with('/')) path.erase(0, 1);
    while (path.ends_with('/')) path.pop_back();

    nlohmann::json value = nlohmann::json::array();
    int exit_code = exit_done;
    Listing listing;
    listing.incomplete = [&](const std::string& directory) {
        exit_code = exit_incomplete;
        context.logger().warning(
            "not all of a directory is in the snapshot: it could not be listed, or is the repository",
            {{"path", printable(directory)}});
    };
    listing.show = [&](const std::string& entry_path, const TreeEntry& entry) {
        if (context.json()) {
            value.push_back(entry_json(entry_path, entry));
        } else if (arguments.long_form) {
            say("{}\n", entry_line(entry_path, entry));
        } else {
            say("{}{}\n", printable(entry_path), entry.type == EntryType::directory ? "/" : "");
        }
    };
    if (path.empty()) {
        list(repository, snapshot.root, "", arguments.recursive, listing);
    } else {
        const std::optional<TreeEntry> entry = find_path(repository.nodes(), snapshot.root, path);
        if (!entry) {
            throw Error(ErrorCode::usage, fmt::format("the snapshot has no '/{}'", printable(path)),
                        "look for it with 'holdfast find'");
        }
        if (entry->type == EntryType::directory) {
            if ((entry->flags & entry_flag::unreadable) != 0) listing.incomplete("/" + path);
            list(repository, entry->children, "/" + path, arguments.recursive, listing);
        } else {
            listing.show("/" + path, *entry);
        }
    }
    context.print(value, [] {});
    return exit_code;
}

} // namespace

void add_ls(CLI::App& app, RunCommand& run) {
    auto a = std::make_shared<Arguments>();
    CLI::App* command = app.add_subcommand("ls", "List a directory of a snapshot");
    add_repository_option(*command, a->repository);
    command->add_option("SNAPSHOT", a->snapshot, "Id, beginning of an id, or latest")->required();
    command->add_option("PATH", a->path, "Directory or file in the snapshot (default: the top)");
    command->add_option("--source", a->source, "With latest: of this source");
    command->add_flag("--recursive,-R", a->recursive, "With all that is below");
    command->add_flag("--long,-l", a->long_form, "With mode, owner, size and time");
    command->callback([a, &run] { run = [a](CommandContext& context) { return run_ls(context, *a); }; });
}

} // namespace holdfast
