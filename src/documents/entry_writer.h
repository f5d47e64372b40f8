// Making entries that have no content: directories, links, FIFOs, devices.
#pragma once

#include "base/file_descriptor.h"
#include "documents/file_metadata.h"
#include "documents/file_writer.h"

#include <string>

namespace holdfast {

// All take names that come from a repository: those that check_entry_name refuses are refused before anything
// happens. None follows a symbolic link. Everything throws Error; messages name the entry only.

enum class CreateOutcome {
    created,
    kept,          // with Existing::update: it was there already, as it should be
    skipped,       // a socket: it means something only to the process that made it
    not_permitted, // a device, and the process may not make those
};

// Opens the place that a restore goes to, creating it and its parents (mode 0777 under the umask) where
// missing. This path is the user's own: links in it are followed.
FileDescriptor open_restore_target(const std::string& path);

// Makes directory `name` with mode 0700, or opens the one that is there, and returns it open.
// Existing::refuse throws Error(already_exists) when anything is there; both others keep a directory with
// what is in it and replace anything else. A directory of our own that denies us access is opened up; apply
// its metadata when all in it is done.
FileDescriptor make_directory(int parent_fd, const std::string& name, Existing existing);

// The target is bytes and may be anything but empty or longer than 4,095 bytes, which is Error(corrupt).
CreateOutcome make_symlink(int directory_fd, const std::string& name, const std::string& target,
                           Existing existing);

// Gives the entry `from_name` of `from_directory_fd` a second name. A symbolic link gets a second name
// itself.
CreateOutcome make_hard_link(int from_directory_fd, const std::string& from_name, int directory_fd,
                             const std::string& name, Existing existing);

// Makes the FIFO or device that `metadata` describes, with mode 0600.
CreateOutcome make_special(int directory_fd, const std::string& name, const FileMetadata& metadata,
                           Existing existing);

} // namespace holdfast
