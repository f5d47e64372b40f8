// Giving a restored entry its owner, mode, extended attributes, ACLs and times.
#pragma once

#include "documents/metadata_compare.h"
#include "documents/owner_names.h"

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

namespace holdfast {

struct MetadataOptions {
    bool owner = true;          // set owner and group at all
    bool numeric_owner = false; // by number only, else by name where the name is known here
    bool attributes = true;     // extended attributes and ACLs; those in excess are removed
};

// An attribute that could not be set; the others were.
struct MetadataProblem {
    Attribute attribute;
    Error error;
};

// Thread-safe. `owners` must outlive it.
//
// Apply it to a file when its content is complete, and to a directory when everything in it is (so that its
// time stays, and a read-only one is not in the way). A process that is not root may not give files away:
// that is no problem of an entry, but counted. Set-user-id and set-group-id are left out where the owner or
// group they speak for could not be set.
class MetadataWriter {
  public:
    MetadataWriter(MetadataOptions options, OwnerNames& owners) : options_(options), owners_(owners) {}

    // To an open regular file or directory.
    std::vector<MetadataProblem> apply(int fd, const FileMetadata& wanted);
    // To entry `name` of any type, links themselves and not what they point at. Refuses names that
    // check_entry_name refuses; an entry of another type than `wanted` is left alone and a problem.
    std::vector<MetadataProblem> apply(int directory_fd, const std::string& name, const FileMetadata& wanted);

    // Entries whose owner or group was not ours to set.
    std::uint64_t owner_failures() const { return owner_failures_; }

  private:
    const MetadataOptions options_;
    OwnerNames& owners_;
    std::atomic<std::uint64_t> owner_failures_{0};

    friend class MetadataApplication;
};

} // namespace holdfast
