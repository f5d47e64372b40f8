#include "service/backup_documents.h"

#include "base/error.h"

namespace holdfast {

DocumentsBackupResult back_up_documents(Repository& repository, const DocumentsBackup& what,
                                        Progress& progress, std::stop_token stop) {
    progress.set_phase("backing up");
    BackupRun run(repository, what.run, stop);
    if (run.parent()) progress.set_total(run.parent()->totals.bytes, run.parent()->totals.files);
    const CaptureTools tools{
        run.writer(),
        repository.nodes(),
        run.files(),
        [&](const FrameAddress& frame) { return run.may_refer(frame); },
        [&] { return run.checkpoint_due(); },
        [&](const NodeRef& root) { run.save_checkpoint(root); },
        repository.clock(),
        repository.logger(),
        progress,
    };
    DocumentsBackupResult result;
    result.tree = capture_tree(what.run.paths, run.previous_roots(), what.tree, tools, stop);
    progress.set_phase("committing");
    const SnapshotState state =
        result.tree.totals.failed > 0 ? SnapshotState::partial : SnapshotState::complete;
    result.report = run.commit(result.tree.root, result.tree.totals, state);
    return result;
}

TreeRestoreResult restore_documents(Repository& repository, const Snapshot& snapshot,
                                    const std::string& target, const TreeRestoreSettings& settings,
                                    Progress& progress, std::stop_token stop) {
    progress.set_phase("restoring");
    if (settings.paths.empty()) progress.set_total(snapshot.totals.bytes, snapshot.totals.files);
    Secret domain_key;
    try {
        domain_key = repository.keys().identity_key_of(snapshot.domain);
    } catch (const Error& error) {
        // Without it files that are there cannot be compared, and are written whole.
        if (error.code() != ErrorCode::wrong_key) throw;
    }
    const RestoreTools tools{repository.nodes(), repository.packs(), domain_key.view(), repository.logger(),
                             progress};
    return restore_tree(snapshot.root, target, settings, tools, stop);
}

} // namespace holdfast
