#include "documents/restore/tree_restore.h"

#include "documents/directory_listing.h"
#include "documents/directory_stack.h"
#include "documents/entry_metadata.h"
#include "documents/entry_name.h"
#include "documents/entry_writer.h"
#include "documents/remove_tree.h"
#include "documents/restore/file_restore.h"
#include "documents/restore/path_selection.h"

#include <map>
#include <set>

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
          metadata_(settings.metadata, owners_),
          report_(tools.logger, tools.progress),
          content_(tools.packs, settings.content, stop_),
          files_(settings, tools, content_, metadata_, report_) {}

    TreeRestoreResult run() {
        for (const std::string& path : selection_.paths()) {
            if (!find_path(tools_.nodes, root_, path)) {
                throw Error(ErrorCode::usage, fmt::format("the snapshot has no '{}'", printable(path)),
                            "list what it has with 'holdfast ls' or 'holdfast find'");
            }
        }
        allow_many_open_files();
        if (settings_.dry_run && ::access(target_.c_str(), F_OK) != 0) {
            throw Error(ErrorCode::usage,
                        fmt::format("{} does not exist, so everything would be restored", target_));
        }
        base_ = open_restore_target(target_);
        if (!settings_.in_place) require_empty();
        walk(Pass::contents);
        content_.wait();
        if (!settings_.dry_run) {
            walk(Pass::directories);
            if (settings_.sync && ::syncfs(base_.get()) != 0) throw system_error(errno, "syncing " + target_);
        }
        TreeRestoreResult result = report_.take();
        result.owner_failures = metadata_.owner_failures();
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
        bool on_the_way = false; // only some of it is wanted
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
        DirectoryStack directories(FileDescriptor(::fcntl(base_.get(), F_DUPFD_CLOEXEC, 0)));
        std::vector<Level> levels;
        levels.push_back({DirectoryCursor(tools_.nodes, root_), root_, TreeEntry{}, "",
                          settings_.filter.start("/"), selection_.judge("") != PathSelection::Answer::yes});
        while (!levels.empty()) {
            if (stop_.stop_requested()) throw Error(ErrorCode::cancelled, "stopped before it was done");
            const TreeEntry* entry = levels.back().cursor.next();
            if (entry == nullptr) {
                leave(pass, directories, levels);
                continue;
            }
            const std::string path = join(levels.back().path, entry->name);
            const PathSelection::Answer answer = selection_.judge(path);
            const bool directory = entry->type == EntryType::directory;
            if (answer == PathSelection::Answer::no ||
                (answer == PathSelection::Answer::on_the_way && !directory))
                continue;
            const PathFilter::Verdict verdict =
                settings_.filter.judge(levels.back().filter, entry->name, directory);
            if (verdict.excluded && !(directory && verdict.descend)) continue;
            try {
                if (directory) {
                    enter(pass, directories, levels, *entry, path, answer);
                } else if (pass == Pass::contents) {
                    restore_entry(**directories.top(), *entry, path);
                }
            } catch (const Error& error) {
                if (error.code() == ErrorCode::cancelled || error.code() == ErrorCode::no_space) throw;
                report_.problem(path, error.message());
            }
        }
    }

    void enter(Pass pass, DirectoryStack& directories, std::vector<Level>& levels, const TreeEntry& entry,
               const std::string& path, PathSelection::Answer answer) {
        const SharedDirectory parent = value_of(directories.top());
        FileDescriptor directory;
        if (pass == Pass::contents && !settings_.dry_run) {
            directory = make_directory(parent->get(), entry.name,
                                       settings_.in_place ? Existing::update : Existing::refuse);
            tools_.progress.add_done(0, 1);
        } else {
            Result<FileDescriptor> opened = open_directory(parent->get(), entry.name);
            // Nothing was made in the first pass (and said so), or a dry run would make it.
            if (!opened && settings_.dry_run) count_missing(entry);
            if (!opened) return;
            directory = std::move(*opened);
        }
        if (pass == Pass::contents) report_.add([](TreeRestoreResult& result) { ++result.directories; });
        Level level{DirectoryCursor(tools_.nodes, entry.children),
                    entry.children,
                    entry,
                    path,
                    settings_.filter.enter(levels.back().filter, entry.name),
                    answer == PathSelection::Answer::on_the_way};
        value_of(directories.push(entry.name, std::move(directory)));
        levels.push_back(std::move(level));
    }

    void leave(Pass pass, DirectoryStack& directories, std::vector<Level>& levels) {
        Level level = std::move(levels.back());
        levels.pop_back();
        const bool top = levels.empty();
        try {
            const SharedDirectory directory = value_of(directories.top());
            if (pass == Pass::contents && settings_.delete_extra && !level.on_the_way && !top) {
                delete_extra(*directory, level);
            }
            // A directory above what was asked for stays as it is found.
            if (pass == Pass::directories && !top && !level.on_the_way) {
                for (const MetadataProblem& problem :
                     metadata_.apply(directory->get(), to_metadata(level.entry))) {
                    report_.problem(level.path, problem.error.message());
                }
            }
        } catch (const Error& error) {
            report_.problem(level.path, error.message());
        }
        if (!top) directories.pop();
    }

    void restore_entry(const FileDescriptor& directory, const TreeEntry& entry, const std::string& path) {
        if (entry.type == EntryType::file) {
            report_.add([&](TreeRestoreResult& result) {
                ++result.files;
                result.bytes += entry.size;
            });
            if (settings_.dry_run) return count_difference(directory, entry);
            if (!link_to_first(directory, entry, path)) files_.restore(directory.get(), entry, path);
            return;
        }
        report_.add([](TreeRestoreResult& result) { ++result.others; });
        if (settings_.dry_run) return;
        const Existing existing = settings_.in_place ? Existing::update : Existing::refuse;
        const FileMetadata metadata = to_metadata(entry);
        const CreateOutcome outcome = entry.type == EntryType::symlink
                                          ? make_symlink(directory.get(), entry.name, entry.target, existing)
                                          : make_special(directory.get(), entry.name, metadata, existing);
        if (outcome == CreateOutcome::skipped || outcome == CreateOutcome::not_permitted) {
            report_.add([](TreeRestoreResult& result) { ++result.skipped; });
            if (outcome == CreateOutcome::not_permitted)
                report_.problem(path, "a device can only be made by root");
            return;
        }
        for (const MetadataProblem& problem : metadata_.apply(directory.get(), entry.name, metadata)) {
            report_.problem(path, problem.error.message());
        }
    }

    // True when the entry is a further name of a file that this restore has made.
    bool link_to_first(const FileDescriptor& directory, const TreeEntry& entry, const std::string& path) {
        if (entry.links < 2) return false;
        const auto [first, is_first] = linked_.try_emplace({entry.device, entry.inode}, path);
        if (is_first) return false;
        const std::size_t slash = first->second.rfind('/');
        const std::string parent = slash == std::string::npos ? "" : first->second.substr(0, slash);
        const FileDescriptor from = value_of(open_directory_path(base_.get(), parent));
        make_hard_link(
            from.get(), slash == std::string::npos ? first->second : first->second.substr(slash + 1),
            directory.get(), entry.name, settings_.in_place ? Existing::replace : Existing::refuse);
        return true;
    }

    void count_difference(const FileDescriptor& directory, const TreeEntry& entry) {
        const std::uint64_t bytes = files_.bytes_that_differ(directory.get(), entry);
        if (bytes == 0) report_.add([](TreeRestoreResult& result) { ++result.same_files; });
        report_.wrote(bytes);
    }

    void count_missing(const TreeEntry& directory) {
        report_.add([&](TreeRestoreResult& result) {
            ++result.directories;
            result.files += directory.files;
            result.bytes += directory.bytes;
        });
        report_.wrote(directory.bytes);
    }

    void delete_extra(const FileDescriptor& directory, const Level& level) {
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
            report_.add([](TreeRestoreResult& result) { ++result.deleted; });
            if (!settings_.dry_run) remove_tree(directory.get(), name);
        }
    }

    template <typename Value>
    static Value value_of(Result<Value> result) {
        if (!result) throw result.error();
        if constexpr (!std::is_void_v<Value>) return std::move(*result);
    }

    const NodeRef& root_;
    const std::string& target_;
    const TreeRestoreSettings& settings_;
    const RestoreTools& tools_;
    std::stop_token stop_;
    PathSelection selection_;
    OwnerNames owners_;
    MetadataWriter metadata_;
    RestoreReport report_;
    ContentReader content_;
    FileRestorer files_;
    FileDescriptor base_;
    std::map<std::pair<std::uint64_t, std::uint64_t>, std::string> linked_;
};

} // namespace

TreeRestoreResult restore_tree(const NodeRef& root, const std::string& target,
                               const TreeRestoreSettings& settings, const RestoreTools& tools,
                               std::stop_token stop) {
    return TreeRestorer(root, target, settings, tools, std::move(stop)).run();
}

} // namespace holdfast
