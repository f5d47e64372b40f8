#include "documents/restore/tree_restore.h"

#include "documents/directory_listing.h"
#include "documents/directory_stack.h"
#include "documents/entry_metadata.h"
#include "documents/entry_name.h"
#include "documents/entry_writer.h"
#include "documents/remove_tree.h"
#include "documents/restore/file_restore.h"
#include "documents/restore/further_names.h"
#include "documents/restore/path_selection.h"
#include "documents/restore/restore_plan.h"
#include "documents/result_value.h"

#include <algorithm>
#include <cerrno>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

namespace holdfast {

namespace {

// Files wait open for their last piece; the usual limit of a shell is too low for a batch of small ones.
void allow_many_open_files() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, 65536);
    ::setrlimit(RLIMIT_NOFILE, &limit);
}

std::string join(std::string_view directory, std::string_view name) {
    return directory.empty() ? std::string(name) : fmt::format("{}/{}", directory, name);
}

// One restore, once. The first pass makes everything; the second, when all content is there, gives
// directories their metadata, since making something in a directory changes its times and may need rights
// that it will not have.
class TreeRestorer {
  public:
    TreeRestorer(const NodeRef& root, const std::string& target, const TreeRestoreSettings& settings,
                 const RestoreTools& tools, std::stop_token stop)
        : root_(root),
          target_(target),
          settings_(settings),
          tools_(tools),
          stop_(std::move(stop)),
          selection_(settings.paths),
          roots_(settings.roots),
          metadata_(settings.metadata, owners_),
          report_(tools.logger, tools.progress),
          content_(tools.packs, settings.content, stop_),
          files_(settings, tools, content_, metadata_, report_),
          plan_(settings, owners_, files_, further_names_, report_) {}

    TreeRestoreResult run() {
        for (const std::string& path : selection_.paths()) {
            if (!find_path(tools_.nodes, root_, path)) {
                throw Error(ErrorCode::usage, fmt::format("the snapshot has no '/{}'", printable(path)),
                            "list what it has with 'holdfast ls' or 'holdfast find'");
            }
        }
        allow_many_open_files();
        // A dry run does not make the target, and needs none.
        there_ = !settings_.dry_run || ::access(target_.c_str(), F_OK) == 0 || errno != ENOENT;
        if (there_) {
            base_ = open_restore_target(target_);
            if (!settings_.in_place) require_empty();
        }
        walk(Pass::contents);
        content_.wait();
        if (!settings_.dry_run) {
            further_names_.link_all(base_.get(), settings_.in_place, report_);
            walk(Pass::directories);
            if (settings_.sync && ::syncfs(base_.get()) != 0) throw system_error(errno, "syncing " + target_);
        }
        TreeRestoreResult result = report_.take();
        result.owner_failures = metadata_.owner_failures();
        if (result.owner_failures > 0) {
            tools_.logger.warning("owners not set", {{"entries", result.owner_failures},
                                                     {"reason", "only root may give files to others"},
                                                     {"hint", "restore as root, or with --no-owner"}});
        }
        return result;
    }

  private:
    enum class Pass { contents, directories };
    // A directory that is being walked.
    struct Level {
        DirectoryCursor cursor;
        NodeRef children;
        TreeEntry entry;
        std::string path;
        PathFilter::Cursor filter;
        bool above_roots = false; // it lies above what was backed up
        bool on_the_way = false;  // that, or only some of it is wanted
        bool excluded = false;    // the filter leaves it out, but perhaps not all that is in it
        bool wanted = false;      // it is to be there: for itself, or for what was found in it
        bool open = false;        // it is on the stack of directories, and so are those above it
    };
    struct Walk {
        Pass pass;
        DirectoryStack directories;
        std::vector<Level> levels{};
    };

    void require_empty() {
        SpillFile spill;
        DirectoryListing listing(::fcntl(base_.get(), F_DUPFD_CLOEXEC, 0) >= 0 ? base_.get() : -1, 65536,
                                 spill);
        if (listing.next()) {
            throw Error(ErrorCode::usage, fmt::format("{} is not empty", target_),
                        "name an empty or new directory, or add --in-place to write only what differs");
        }
    }

    void walk(Pass pass) {
        Walk walk{pass,
                  DirectoryStack(FileDescriptor(there_ ? ::fcntl(base_.get(), F_DUPFD_CLOEXEC, 0) : -1))};
        walk.levels.push_back({.cursor = DirectoryCursor(tools_.nodes, root_),
                               .children = root_,
                               .entry = {},
                               .path = "",
                               .filter = settings_.filter.start("/"),
                               .on_the_way = selection_.judge("") != PathSelection::Answer::yes,
                               .wanted = true,
                               .open = there_});
        // The top counts, as it does when it is backed up.
        count_directory(walk, walk.levels.back());
        while (!walk.levels.empty()) {
            if (stop_.stop_requested()) throw Error(ErrorCode::cancelled, "stopped before it was done");
            const TreeEntry* entry = walk.levels.back().cursor.next();
            if (entry == nullptr) {
                leave(walk);
                continue;
            }
            const std::string path = join(walk.levels.back().path, entry->name);
            const PathSelection::Answer answer = selection_.judge(path);
            const bool directory = entry->type == EntryType::directory;
            if (answer == PathSelection::Answer::no ||
                (answer == PathSelection::Answer::on_the_way && !directory))
                continue;
            const PathFilter::Verdict verdict =
                settings_.filter.judge(walk.levels.back().filter, entry->name, directory);
            if (verdict.excluded && !(directory && verdict.descend)) continue;
            try {
                if (directory) {
                    enter(walk, *entry, path, answer, verdict.excluded);
                } else if (make_way(walk) && pass == Pass::contents) {
                    restore_entry(walk, *entry, path);
                }
            } catch (const Error& error) {
                if (error.code() == ErrorCode::cancelled || error.code() == ErrorCode::no_space) throw;
                report_.problem(path, error.message());
            }
        }
    }

    // Brings the directories down to the last level into being and onto the stack. False when that was not
    // done in the first pass, which has said so.
    bool make_way(Walk& walk) {
        if (walk.levels.back().wanted) return true;
        bool open = there_;
        for (Level& level : walk.levels) {
            if (open && !level.open) open = open_level(walk, level, true);
            if (!open && !settings_.dry_run) return false;
            if (!level.wanted) count_directory(walk, level);
            level.wanted = true;
        }
        return true;
    }

    void count_directory(const Walk& walk, const Level& level) {
        if (walk.pass != Pass::contents) return;
        report_.add([](TreeRestoreResult& result) { ++result.directories; });
        if (settings_.dry_run && !level.open) plan_.add(PlannedAction::create, level.path, true);
        if ((level.entry.flags & entry_flag::unreadable) != 0 && !level.excluded) {
            report_.problem(level.path,
                            "not all of it is in the snapshot: it could not be listed when it was backed "
                            "up, or is the repository");
        }
    }

    // Puts `level`, whose parent is on top, onto the stack. False when it is not there, and is not made.
    bool open_level(Walk& walk, Level& level, bool make) {
        const SharedDirectory parent = value_of(walk.directories.top());
        FollowLinks follow = FollowLinks::no;
        FileDescriptor directory;
        if (settings_.in_place && level.above_roots) {
            if (Result<FileDescriptor> there =
                    open_directory(parent->get(), level.entry.name, FollowLinks::yes)) {
                directory = std::move(*there); // it is not ours
                follow = FollowLinks::yes;
            }
        }
        if (!directory.open() && make && walk.pass == Pass::contents) {
            refuse_to_replace(*parent, level.entry);
            if (!settings_.dry_run) {
                directory = make_directory(parent->get(), level.entry.name,
                                           settings_.in_place ? Existing::update : Existing::refuse);
                tools_.progress.add_done(0, 1);
            }
        }
        if (!directory.open()) {
            Result<FileDescriptor> opened = open_directory(parent->get(), level.entry.name);
            if (!opened) return false;
            directory = std::move(*opened);
        }
        value_of(walk.directories.push(level.entry.name, std::move(directory), follow));
        level.open = true;
        return true;
    }

    void enter(Walk& walk, const TreeEntry& entry, const std::string& path, PathSelection::Answer answer,
               bool excluded) {
        if (!excluded && !make_way(walk)) return;
        const Level& above = walk.levels.back();
        const bool above_roots = roots_.judge(path) == PathSelection::Answer::on_the_way;
        Level level{.cursor = DirectoryCursor(tools_.nodes, entry.children),
                    .children = entry.children,
                    .entry = entry,
                    .path = path,
                    .filter = settings_.filter.enter(above.filter, entry.name),
                    .above_roots = above_roots,
                    .on_the_way = answer == PathSelection::Answer::on_the_way || above_roots,
                    .excluded = excluded,
                    .wanted = !excluded};
        // One that is left out is made when something in it is wanted; in place it may be there, with
        // something in it to delete.
        const bool look = !excluded || (settings_.in_place && walk.pass == Pass::contents);
        if (above.open && look && !open_level(walk, level, !excluded) && !excluded && !settings_.dry_run)
            return;
        if (level.wanted) count_directory(walk, level);
        if (settings_.dry_run && level.open && level.wanted && !level.on_the_way) {
            plan_.metadata(value_of(walk.directories.top())->get(), ".", level.entry, level.path);
        }
        walk.levels.push_back(std::move(level));
    }

    void leave(Walk& walk) {
        Level level = std::move(walk.levels.back());
        walk.levels.pop_back();
        if (!level.open) return;
        const bool top = walk.levels.empty();
        try {
            const SharedDirectory directory = value_of(walk.directories.top());
            if (walk.pass == Pass::contents && settings_.delete_extra && !level.on_the_way && !top) {
                delete_extra(*directory, level);
            }
            // A directory above what was asked for stays as it is found; in an empty place we have made it.
            const bool only_passed = (level.on_the_way || level.excluded) && settings_.in_place;
            if (walk.pass == Pass::directories && !top && level.wanted && !only_passed) {
                report_.metadata_problems(level.path,
                                          metadata_.apply(directory->get(), to_metadata(level.entry)));
            }
        } catch (const Error& error) {
            report_.problem(level.path, error.message());
        }
        if (!top) walk.directories.pop();
    }

    void restore_entry(Walk& walk, const TreeEntry& entry, const std::string& path) {
        const bool file = entry.type == EntryType::file;
        report_.add([&](TreeRestoreResult& result) {
            ++(file ? result.files : result.others);
            if (file) result.bytes += entry.size;
        });
        if (!walk.levels.back().open) return plan_.missing(entry, path); // a dry run
        const SharedDirectory directory = value_of(walk.directories.top());
        refuse_to_replace(*directory, entry);
        if (settings_.dry_run) return plan_.entry(directory->get(), entry, path);
        if (file) {
            if (!further_names_.is_one(entry, path)) files_.restore(directory->get(), entry, path);
            return;
        }
        const Existing existing = settings_.in_place ? Existing::update : Existing::refuse;
        const FileMetadata metadata = to_metadata(entry);
        const CreateOutcome outcome = entry.type == EntryType::symlink
                                          ? make_symlink(directory->get(), entry.name, entry.target, existing)
                                          : make_special(directory->get(), entry.name, metadata, existing);
        if (outcome == CreateOutcome::skipped || outcome == CreateOutcome::not_permitted) {
            report_.add([](TreeRestoreResult& result) { ++result.skipped; });
            if (outcome == CreateOutcome::not_permitted)
                report_.problem(path, "a device can only be made by root");
            return;
        }
        report_.metadata_problems(path, metadata_.apply(directory->get(), entry.name, metadata));
    }

    // In place, a directory with something in it gives way to a file, or a file to a directory, only where
    // deleting was asked for.
    void refuse_to_replace(const FileDescriptor& directory, const TreeEntry& entry) {
        if (!settings_.in_place || settings_.delete_extra) return;
        FileMetadata present;
        if (!stat_entry(directory.get(), entry.name, present)) return;
        const bool was_directory = present.is_directory();
        if (was_directory == (entry.type == EntryType::directory)) return;
        throw Error(
            ErrorCode::already_exists,
            was_directory
                ? "a directory is in its place; it is replaced only with --delete"
                : "something that is no directory is in its place; it is replaced only with --delete");
    }

    void delete_extra(const FileDescriptor& directory, const Level& level) {
        // What the backup could not list is not known to be extra.
        if ((level.entry.flags & entry_flag::unreadable) != 0) return;
        std::vector<std::string> extra;
        {
            SpillFile spill;
            DirectoryListing listing(directory.get(), 1u << 20, spill);
            DirectoryCursor snapshot(tools_.nodes, level.children);
            while (const std::optional<std::string_view> name = listing.next()) {
                if (snapshot.seek(*name) != nullptr) continue;
                // What the patterns leave out is none of our business.
                FileMetadata metadata;
                const Result<void> found = stat_entry(directory.get(), std::string(*name), metadata);
                if (!found || settings_.filter.judge(level.filter, *name, metadata.is_directory()).excluded)
                    continue;
                extra.emplace_back(*name);
            }
        }
        for (const std::string& name : extra) {
            FileMetadata metadata;
            const bool is_directory = stat_entry(directory.get(), name, metadata) && metadata.is_directory();
            if (settings_.dry_run) {
                plan_.add(PlannedAction::remove, join(level.path, name), is_directory);
            } else {
                remove_tree(directory.get(), name);
            }
            report_.add([](TreeRestoreResult& result) { ++result.deleted; });
        }
    }

    const NodeRef& root_;
    const std::string& target_;
    const TreeRestoreSettings& settings_;
    const RestoreTools& tools_;
    std::stop_token stop_;
    PathSelection selection_;
    PathSelection roots_;
    OwnerNames owners_;
    MetadataWriter metadata_;
    RestoreReport report_;
    ContentReader content_;
    FileRestorer files_;
    bool there_ = true; // the target, or it is made
    FileDescriptor base_;
    FurtherNames further_names_;
    RestorePlan plan_;
};

} // namespace

TreeRestoreResult restore_tree(const NodeRef& root, const std::string& target,
                               const TreeRestoreSettings& settings, const RestoreTools& tools,
                               std::stop_token stop) {
    return TreeRestorer(root, target, settings, tools, std::move(stop)).run();
}

} // namespace holdfast
