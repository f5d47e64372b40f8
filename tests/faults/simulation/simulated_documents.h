// What the sources of the simulation hold: small documents in directories, and large ones.
//
// How a file system shows them is made up: an entry's times follow from its content. What is done with them
// is done by the code that captures real trees.
#pragma once

#include "documents/backup/previous_directory.h"
#include "documents/backup/tree_assembly.h"
#include "repository/backup_run.h"

#include <cstdint>
#include <functional>
#include <map>
#include <string>

namespace holdfast::simulation {

// What is in a document, or on a page of a large one, is known by a number.
using Content = std::uint32_t;
// By name. A directory has documents, and a large document has pages, which lie far apart in it.
using Members = std::map<std::string, Content>;
// By the name of the directory or large document, of which is_large() knows which it is.
using Dataset = std::map<std::string, Members>;
bool is_large(const std::string& name);

// Captures a dataset in the way of documents/backup/tree_capture: what is unchanged is taken over from
// earlier trees, unread, and all else is given to the run's writers.
class DocumentCapture {
  public:
    // Called behind each document.
    using Between = std::function<void()>;
    DocumentCapture(BackupRun& run, Between between);

    // All of it; the root of its tree. What `between` throws ends it.
    NodeRef capture(const Dataset& dataset);
    // As far as it came, for a checkpoint.
    NodeRef root_so_far() const;
    // Documents that were taken over.
    std::uint64_t taken_over() const { return taken_over_; }

  private:
    PreviousDirectory previous(const std::vector<NodeRef>& directories);
    void capture_directory(const std::string& name, const Members& documents,
                           const std::vector<const TreeEntry*>& before);
    void capture_document(TreeEntry entry, const Members& pages, const std::vector<const TreeEntry*>& before);

    BackupRun& run_;
    const Between between_;
    TreeAssembly tree_;
    std::uint64_t taken_over_ = 0;
};

// Reads a whole tree, every byte that is no hole. Throws Error(corrupt) when something is missing.
Dataset read_dataset(NodeReader& nodes, PackReader& packs, const NodeRef& root);

} // namespace holdfast::simulation
