#include "service/backup_documents.h"

#include "base/error.h"
#include "documents/source_roots.h"
#include "service/pack_classes.h"
#include "store/file_store.h"

#include <fmt/format.h>
#include <sys/stat.h>

namespace holdfast {

namespace {

// A disk that is not mounted must not become an empty snapshot that is then the latest.
void require_something(const std::vector<std::string>& paths) {
    for (const std::string& path : paths) {
        struct stat status{};
        if (::lstat(path.c_str(), &status) == 0) return;
    }
    throw Error(ErrorCode::usage, fmt::format("nothing is at {}", fmt::join(paths, ", ")),
                "check the paths, and that the file system is mounted");
}

// Nothing when the repository is not in a directory of this machine.
std::optional<FileIdentity> directory_of(const Store& store) {
    const std::string url = store.url();
    if (!url.starts_with("file:")) return std::nullopt;
    struct stat status{};
    if (::stat(path_of_file_url(url).c_str(), &status) != 0) return std::nullopt;
    return FileIdentity{status.st_dev, status.st_ino};
}

} // namespace

DocumentsBackupResult back_up_documents(Repository& repository, const DocumentsBackup& what,
                                        Progress& progress, std::stop_token stop) {
    progress.set_phase("backing up");
    BackupRunSettings settings = what.run;
    settings.paths = root_paths(merge_roots(what.paths));
    require_something(settings.paths);
    settings.retention_class = pack_class_of(repository.config().classes, settings.tags);
    BackupRun run(repository, std::move(settings), stop);
    if (run.parent()) progress.set_total(run.parent()->totals.bytes, run.parent()->totals.files);
    const CaptureTools tools{
        run.writer(),
        run.nodes(),
        run.files(),
        [&](const FrameAddress& frame) { return run.may_refer(frame); },
        [&](const FileContent& content) { return run.may_take_over(content); },
        [&] { return run.checkpoint_due(); },
        [&](const NodeRef& root) { run.save_checkpoint(root); },
        [&](const NodeRef& root) { run.end_early(root); },
        repository.clock(),
        repository.logger(),
        progress,
    };
    DocumentsBackupResult result;
    TreeBackupSettings tree = what.tree;
    tree.repository_directory = directory_of(repository.store());
    result.tree = capture_tree(what.paths, run.previous_roots(), tree, tools, stop);
    progress.set_phase("committing");
    const SnapshotState state =
        result.tree.totals.failed > 0 ? SnapshotState::partial : SnapshotState::complete;
    result.report = run.commit(result.tree.root, result.tree.totals, state);
    return result;
}

TreeRestoreResult restore_documents(Repository& repository, const Snapshot& snapshot,
                                    const std::string& target, const TreeRestoreSettings& settings,
                                    Progress& progress, std::stop_token stop) {
    // Not even the empty files that would be left of it.
    if (const Role role = repository.keys().role(); role != Role::full && role != Role::read) {
        throw Error(ErrorCode::access_denied,
                    fmt::format("a key of role '{}' reads no content", to_string(role)),
                    "restore with a key of role full or read");
    }
    progress.set_phase("restoring");
    if (settings.paths.empty()) progress.set_total(snapshot.totals.bytes, snapshot.totals.files);
    Secret domain_key;
    try {
        domain_key = repository.keys().identity_key_of(snapshot.domain);
    } catch (const Error& error) {
        // Without it files that are there cannot be compared, and are written whole.
        if (error.code() != ErrorCode::wrong_key) throw;
    }
    TreeRestoreSettings complete = settings;
    complete.roots = snapshot.paths;
    const RestoreTools tools{repository.nodes(), repository.packs(), domain_key.view(), repository.logger(),
                             progress};
    return restore_tree(snapshot.root, target, complete, tools, stop);
}

} // namespace holdfast
