// Opening directories and looking at their entries, always relative to a descriptor and never through a
// symbolic link: paths may be deeper than PATH_MAX, and nobody who swaps an entry can lead us elsewhere.
#pragma once

#include "base/file_descriptor.h"
#include "documents/file_metadata.h"
#include "documents/owner_names.h"
#include "documents/result.h"

#include <string>
#include <string_view>

namespace holdfast {

// Messages name the entry only: the caller knows the path.

enum class FollowLinks : bool { no, yes };

// Opens directory `name` for listing, without changing its access time where the system allows that. A
// symbolic link is followed only with FollowLinks::yes, which is for paths that the user typed.
// Error(not_found): it is not there.
Result<FileDescriptor> open_directory(int parent_fd, const std::string& name,
                                      FollowLinks follow = FollowLinks::no);
// Opens the directory that the components of `path` ("a/b/c"; empty: `base_fd` itself) lead to, one by one
// and without following links. `path` may have any length.
Result<FileDescriptor> open_directory_path(int base_fd, std::string_view path);

// One fstatat: fills the stat part of `metadata` and clears its details. Never triggers an automount.
Result<void> stat_entry(int directory_fd, const std::string& name, FileMetadata& metadata,
                        FollowLinks follow = FollowLinks::no);
// The same for an open descriptor.
Result<void> stat_descriptor(int fd, FileMetadata& metadata);

// Reads everything about an entry: its stat again, so that all belongs together, user and group names, the
// target of a symbolic link, extended attributes and ACLs. Opens nothing that could block or have an effect.
// When only some details can't be read, `metadata` has the others and the first failure is returned;
// Error(not_found) means that the entry vanished. `name` may be "." for the directory itself.
Result<void> read_details(int directory_fd, const std::string& name, FileMetadata& metadata,
                          OwnerNames& owners);
// The same for a regular file or directory that is already open for reading, which saves opening it again.
Result<void> read_details(int fd, FileMetadata& metadata, OwnerNames& owners);

} // namespace holdfast
