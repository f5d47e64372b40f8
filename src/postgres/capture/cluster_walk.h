// Walking a data directory and its tablespaces: what a backup takes of them, by paths relative to the data
// directory.
#pragma once

#include "documents/tree_walker.h"
#include "postgres/files/exclusions.h"
#include "postgres/files/tablespace_map.h"

#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast::postgres {

// Told of what belongs to the backup, in the order in which a tree is made of it; see TreeVisitor. `path` is
// relative to the data directory, and goes through pg_tblspc/<oid> for tablespaces; it is empty for the data
// directory itself.
class ClusterVisitor {
  public:
    virtual ~ClusterVisitor() = default;
    virtual void enter_directory(const WalkedEntry& entry, const std::string& path) = 0;
    virtual void leave_directory() = 0;
    // A directory without content that the server needs, in the one that was entered last; `like` is whose
    // metadata it gets.
    virtual void empty_directory(const std::string& name, const WalkedEntry& like) = 0;
    virtual void file(const WalkedEntry& entry, const std::string& path) = 0;
    // A symbolic link, which is kept as it is.
    virtual void link(const WalkedEntry& entry, const std::string& path) = 0;
    virtual void vanished(const std::string& path) = 0;
    virtual void error(const std::string& path, const Error& error) = 0;
};

// Walks `directory` (absolute, or relative to the working directory; it may be a symbolic link): the data
// directory when `tablespace` is 0, else that tablespace, of which `only` names the one directory in it that
// is the cluster's. Errors as walk_trees.
void walk_cluster(const std::string& directory, Oid tablespace, const std::string& only,
                  const Exclusions& exclusions, ClusterVisitor& visitor, std::stop_token stop);

// The tablespaces outside the data directory, by the links in its pg_tblspc, ascending by the text of their
// numbers. Throws when that cannot be read.
std::vector<TablespaceLocation> tablespaces_of(const std::string& data_directory);
// Where pg_wal leads when it is a symbolic link; else empty.
std::string wal_link_of(const std::string& data_directory);

} // namespace holdfast::postgres
