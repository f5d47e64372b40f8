// Backing up document trees, and restoring them.
#pragma once

#include "base/progress.h"
#include "documents/backup/tree_backup.h"
#include "documents/restore/tree_restore.h"
#include "repository/backup_run.h"

#include <string>
#include <vector>

namespace holdfast {

struct DocumentsBackup {
    BackupRunSettings run; // its paths are what is captured
    TreeBackupSettings tree;
};

struct DocumentsBackupResult {
    BackupRunReport report;
    TreeBackupResult tree;
};

// Captures and commits. The snapshot is partial when something was left out. Throws when nothing could be
// committed.
DocumentsBackupResult back_up_documents(Repository& repository, const DocumentsBackup& what,
                                        Progress& progress, std::stop_token stop);

// Restores a snapshot's tree into `target`.
TreeRestoreResult restore_documents(Repository& repository, const Snapshot& snapshot,
                                    const std::string& target, const TreeRestoreSettings& settings,
                                    Progress& progress, std::stop_token stop);

} // namespace holdfast
