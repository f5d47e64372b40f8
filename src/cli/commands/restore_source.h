// 'holdfast restore SOURCE': a PostgreSQL cluster at a moment.
#pragma once

#include "cli/command.h"

#include <string>
#include <vector>

namespace holdfast {

struct SourceRestoreOptions {
    std::string at, lsn, restore_point, snapshot;
    std::uint64_t xid = 0;
    std::uint32_t timeline = 0;
    bool exclusive = false;
    std::vector<std::string> tablespaces, databases, branches;
    std::string action = "promote";
    bool start = false;
    std::uint16_t port = 5432;
    std::string socket_directory, listen, bin_directory;
    std::vector<std::string> settings;
    std::string standby_of; // a connection string
    std::string memory;     // "2G"
    unsigned processors = 0;
    int niceness = 0;
    std::string protect_as, administrator;
    std::vector<std::string> tags;
    std::string expires; // "24h"
    std::string then;    // a command
    bool ladder = false;
    std::string restart_command;
};

void add_source_restore_options(CLI::App& command, SourceRestoreOptions& options);
// Throws Error(usage) for options that would have no effect without others, or beside others.
void check_source_restore_options(const CLI::App& command);

struct SourceRestoreTarget {
    std::string repository;
    std::string source;
    std::string directory;
    bool in_place = false;
    bool dry_run = false;
};

int run_source_restore(CommandContext& context, const SourceRestoreTarget& target,
                       const SourceRestoreOptions& options);

} // namespace holdfast
