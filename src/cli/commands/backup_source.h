// 'holdfast backup SOURCE', where SOURCE is one that holdfast.toml names.
#pragma once

#include "cli/command.h"
#include "repository/backup_run.h"

#include <string>

namespace holdfast {

struct SourceBackupOptions {
    std::string type = "auto";
    std::string wait_limit = "30m";
    std::string limit_read;
    bool compare = false;
    bool new_cluster = false;
    bool spread_checkpoint = false;
};

void add_source_backup_options(CLI::App& command, SourceBackupOptions& options);
// Throws Error(usage) for options that would have no effect beside others.
void check_source_backup_options(const CLI::App& command);

// `run` has what is said for any backup: tags, host, compression, lock.
int run_source_backup(CommandContext& context, const std::string& source, const std::string& repository,
                      const SourceBackupOptions& options, BackupRunSettings run);

} // namespace holdfast
