// A whole cluster as the server sends it over the replication protocol: for hosts without an agent.
//
// Source: PostgreSQL's documentation, "Streaming Replication Protocol", BASE_BACKUP. 13 and 14 send one copy
// per tablespace, 15 and later a single one with a letter before each piece. What is sent inside is tar.
#pragma once

#include "postgres/server/replication.h"
#include "postgres/server/tar_reader.h"

#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

namespace holdfast::postgres {

struct BaseBackupOptions {
    std::string label = "holdfast";
    // A checkpoint at once instead of one that is spread over minutes.
    bool fast_checkpoint = true;
    // KiB a second, from 32 to 1,048,576; 0: as fast as it goes.
    std::uint32_t max_rate_kib = 0;
    // The server checks page checksums, and the backup fails at its end when one is wrong. Off: who receives
    // the pages checks them and decides.
    bool server_verifies_checksums = false;
    // What the server may take to begin, and to end: 0: without limit.
    Duration limit{};
    // Called past the limit, while the server still waits.
    std::function<void()> past_limit{};
};

// One archive: the data directory itself, or a tablespace.
struct BackupArchive {
    std::uint32_t tablespace_oid = 0; // 0: the data directory
    std::string location;             // of the tablespace on the server
    std::uint64_t estimated_bytes = 0;
};

struct BaseBackupStart {
    Lsn start;
    TimelineId timeline = 0;
    std::vector<BackupArchive> archives; // in the order in which they come
};

struct BaseBackupEnd {
    Lsn stop; // the log must be there up to here (exclusive)
    TimelineId timeline = 0;
};

// What is told, in order: started; for each archive begin_archive, its entries (paths are relative to the
// tablespace's place or the data directory) and end_archive. The data directory's archive holds backup_label
// and, with tablespaces, tablespace_map as files.
class BaseBackupVisitor : public TarVisitor {
  public:
    virtual void started(const BaseBackupStart& start) = 0;
    virtual void begin_archive(const BackupArchive& archive) = 0;
    virtual void end_archive() = 0;
};

// Takes a base backup over `connection`, without manifest and without the log. Whatever the visitor throws
// ends it and passes through; the connection is then of no use. A stop ends every wait at once. Throws
// Error(corrupt) for archives that are none; Error(timed_out) past the limit; what connections throw. The
// archives are complete and consistent only when it returns, and with the log from start to stop.
BaseBackupEnd stream_base_backup(ReplicationConnection& connection, const BaseBackupOptions& options,
                                 BaseBackupVisitor& visitor, std::stop_token stop = {});

// The command for a server's version; for tests.
std::string base_backup_command(int server_version, const BaseBackupOptions& options);

} // namespace holdfast::postgres
