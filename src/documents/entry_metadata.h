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

} // namespace holdfast
