// What a base backup leaves out, and which directories it keeps though they are empty.
//
// The rules are those by which the server of each version serves pg_basebackup (src/backend/backup/
// basebackup.c, before 15 src/backend/replication/basebackup.c); what they name is removed or made anew when
// a server starts. Holdfast's own additions, each for a reason:
//
//   recovery.signal, standby.signal   say how the copied server recovers, not the restored one, which gets
//   its
//                                     own; pg_basebackup copies them, and pg_verifybackup ignores them
//   backup_label.old, tablespace_map.old  left behind by an earlier recovery; nothing reads them
//
// Everything else is copied, what users put there themselves included.
#pragma once

#include "postgres/files/relation_path.h"

#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast::postgres {

enum class Inclusion {
    copy,  // the file; the directory and what is in it
    skip,  // it is not there in the backup
    empty, // a directory, without its content
};

// Immutable; any thread.
class Exclusions {
  public:
    // `major_version` from 13 to 18. `statistics_directory` is the setting stats_temp_directory of versions
    // 13 and 14, as it is below the data directory: relative to it; empty when it lies elsewhere.
    explicit Exclusions(int major_version, std::string_view statistics_directory = "pg_stat_tmp");

    // For an entry by its path relative to the data directory, which is a directory or not. Says `empty` for
    // directories only; a symbolic link to a directory (pg_wal often is one) counts as the directory. Does
    // not look at what is above the entry: below a directory that is skipped or empty nothing is asked.
    // Relations are for RelationExclusions too.
    Inclusion of(std::string_view path, bool is_directory) const;

    // Directories that every data directory of the version has, whether a copy has something in them or not;
    // parents first.
    std::vector<std::string> required_directories() const;

  private:
    int major_version_;
    std::string statistics_directory_;
};

// Which files of a directory that holds relations are left out: temporary relations, and of unlogged
// relations, which are those that have an init fork, every other fork: recovery makes them anew from the init
// fork. Shared relations are neither.
class RelationExclusions {
  public:
    // `names` is the listing of the directory. A relation created after it is in the log with its init fork.
    explicit RelationExclusions(std::span<const std::string> names);

    bool skips(std::string_view name) const;
    bool is_unlogged(Oid number) const { return unlogged_.contains(number); }

  private:
    std::set<Oid> unlogged_;
};

} // namespace holdfast::postgres
