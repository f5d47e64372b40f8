// In what an entry differs from what it should be, or from what it was.
#pragma once

#include "documents/file_metadata.h"
#include "documents/owner_names.h"
#include "documents/result.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast {

enum class Attribute : std::uint8_t {
    existence,
    type,
    size,
    link_target,
    device_number,
    owner,
    group,
    mode,
    mtime,
    attributes
};

// "existence", "type", "size", "link_target", "device_number", "owner", "group", "mode", "mtime",
// "attributes".
std::string_view to_string(Attribute attribute);

struct CompareOptions {
    bool owner = true;          // look at owner and group at all
    bool numeric_owner = false; // by number only, else by name where there is one
    bool mtime = true;
    bool attributes = true; // extended attributes and ACLs
};

// The user and group that `metadata` should get here: by name where the name is known here, else (or with
// `numeric_owner`) by number.
std::uint32_t wanted_uid(const FileMetadata& metadata, bool numeric_owner, OwnerNames& owners);
std::uint32_t wanted_gid(const FileMetadata& metadata, bool numeric_owner, OwnerNames& owners);

// Attributes in which `present` differs from `wanted`, in the order of the enumeration; empty when they are
// equal. When the types differ, nothing else is compared. Attributes that a type does not have are passed
// over: the mode of symbolic links, the size and times of nothing but what has them. Both must have their
// details.
std::vector<Attribute> compare_metadata(const FileMetadata& wanted, const FileMetadata& present,
                                        const CompareOptions& options, OwnerNames& owners);
// The same for entry `name` of a directory; existence alone when it is not there. Changes nothing.
Result<std::vector<Attribute>> compare_entry(int directory_fd, const std::string& name,
                                             const FileMetadata& wanted, const CompareOptions& options,
                                             OwnerNames& owners);

// Whether the content and details of a file need not be read again: type, size, mtime, ctime and inode are
// those of `before`, which was seen by a backup that started at `before_started`. A file whose last change
// falls into the same tick of its file system's clock as that start could have changed again without showing
// it, so it counts as changed. The device number is not compared: it may differ after a reboot.
// `ignore_inode` is for network file systems whose numbers change.
bool unchanged_since(const FileMetadata& before, const FileMetadata& now, FileTime before_started,
                     bool ignore_inode = false);

} // namespace holdfast
