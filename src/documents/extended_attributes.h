// Extended attributes of an entry that is held by a descriptor: never by path, so that no symbolic link is
// followed.
#pragma once

#include "base/file_descriptor.h"
#include "documents/file_metadata.h"
#include "documents/result.h"

#include <string>
#include <vector>

namespace holdfast {

// A descriptor of an entry of any type. Opened with O_PATH it touches neither content nor devices and needs
// no permission on the entry itself; the kernel then wants attributes to be asked for through /proc/self/fd.
class EntryHandle {
  public:
    // Opens entry `name` without following a symbolic link and fills `metadata` by its stat.
    // Error(not_found) when it is not there.
    static Result<EntryHandle> open(int directory_fd, const std::string& name, FileMetadata& metadata);
    // Wraps a descriptor that is open for reading or writing; the caller keeps owning it.
    static EntryHandle borrow(int fd);

    int fd() const { return fd_; }
    // True when the descriptor was opened with O_PATH: attributes and mode go by proc_path().
    bool path_only() const { return owned_.open(); }
    // "/proc/self/fd/N": a path that the kernel resolves to this very entry.
    const std::string& proc_path() const { return proc_path_; }

  private:
    explicit EntryHandle(FileDescriptor owned);
    explicit EntryHandle(int fd) : fd_(fd) {}

    FileDescriptor owned_;
    int fd_ = -1;
    std::string proc_path_;
};

// All attributes that the process may see, sorted by name. A file system without attributes has none. When
// single attributes can't be read, `attributes` holds the others and the first failure is returned.
Result<void> read_attributes(const EntryHandle& entry, std::vector<ExtendedAttribute>& attributes);
Result<void> set_attribute(const EntryHandle& entry, const ExtendedAttribute& attribute);
Result<void> remove_attribute(const EntryHandle& entry, const std::string& name);

} // namespace holdfast
