// Between a snapshot's entry and what the file system says of a file.
#pragma once

#include "documents/file_metadata.h"
#include "repository/node/entry.h"

namespace holdfast {

EntryType entry_type(FileType type);
FileType file_type(EntryType type);

// The entry's metadata with all details; content apart.
FileMetadata to_metadata(const TreeEntry& entry);

// The entry of this name, as far as a stat goes: without details (owners' names, attributes, link target) and
// content.
TreeEntry to_entry(std::string name, const FileMetadata& metadata);

// Whether the details of `metadata`'s file must be those that `before` has: it is the same file, and nothing
// of it changed since.
bool has_details_of(const TreeEntry& before, const FileMetadata& metadata);

// Sets owners' names, attributes and link target: to those of `before`, or when it is null to those that were
// read into `metadata`. False when attributes were left out because no entry may be that large.
bool set_details(TreeEntry& entry, const TreeEntry* before, const FileMetadata& metadata);

} // namespace holdfast
