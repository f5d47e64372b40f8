// What cluster a snapshot holds, read from its tree.
#pragma once

#include "postgres/files/backup_label.h"
#include "postgres/files/control_file.h"
#include "postgres/files/relation_path.h"
#include "repository/node/directory_cursor.h"
#include "repository/pack/pack_reader.h"
#include "repository/protocol/snapshot.h"

#include <string>
#include <string_view>
#include <vector>

namespace holdfast::postgres {

struct SnapshotTablespace {
    Oid oid = 0;
    std::string name; // empty when the snapshot does not tell
    std::string path; // where it was
    NodeRef tree;
};

struct SnapshotDatabase {
    Oid oid = 0;
    std::string name;
};

struct SnapshotCluster {
    TreeEntry data; // the data directory
    int version = 0;
    ControlFile control;
    std::string label_text;
    BackupLabel label;
    std::vector<SnapshotTablespace> tablespaces;
    std::vector<SnapshotDatabase> databases; // empty when the snapshot does not tell
    // The names in pg_twophase: of transactions that were prepared when the files were read.
    std::vector<std::string> prepared;
    // Its settings lie in the data directory, as they do unless a distribution keeps them elsewhere.
    bool has_configuration = false;
};

// Throws Error(corrupt) when the tree is none of a cluster, and what the readers throw.
SnapshotCluster read_snapshot_cluster(NodeReader& nodes, PackReader& packs, const Snapshot& snapshot);

// The whole content of a small file of a tree; empty when it is not there.
std::optional<Bytes> read_small_file(NodeReader& nodes, PackReader& packs, const NodeRef& root,
                                     std::string_view path);

} // namespace holdfast::postgres
