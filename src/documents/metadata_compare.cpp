#include "documents/metadata_compare.h"

#include "documents/directory_reader.h"

namespace holdfast {

std::string_view to_string(Attribute attribute) {
    switch (attribute) {
    case Attribute::existence:
        return "existence";
    case Attribute::type:
        return "type";
    case Attribute::size:
        return "size";
    case Attribute::link_target:
        return "link_target";
    case Attribute::device_number:
        return "device_number";
    case Attribute::owner:
        return "owner";
    case Attribute::group:
        return "group";
    case Attribute::mode:
        return "mode";
    case Attribute::mtime:
        return "mtime";
    case Attribute::attributes:
        return "attributes";
    }
    return "attributes";
}

std::uint32_t wanted_uid(const FileMetadata& metadata, bool numeric_owner, OwnerNames& owners) {
    if (numeric_owner || metadata.user.empty()) return metadata.uid;
    return owners.user_id(metadata.user).value_or(metadata.uid);
}

std::uint32_t wanted_gid(const FileMetadata& metadata, bool numeric_owner, OwnerNames& owners) {
    if (numeric_owner || metadata.group.empty()) return metadata.gid;
    return owners.group_id(metadata.group).value_or(metadata.gid);
}

std::vector<Attribute> compare_metadata(const FileMetadata& wanted, const FileMetadata& present,
                                        const CompareOptions& options, OwnerNames& owners) {
    if (wanted.type != present.type) return {Attribute::type};
    std::vector<Attribute> differences;
    const auto note = [&](bool differs, Attribute attribute) {
        if (differs) differences.push_back(attribute);
    };
    note(wanted.type == FileType::regular && wanted.size_bytes != present.size_bytes, Attribute::size);
    note(wanted.link_target != present.link_target, Attribute::link_target);
    note(wanted.rdev_major != present.rdev_major || wanted.rdev_minor != present.rdev_minor,
         Attribute::device_number);
    if (options.owner) {
        note(wanted_uid(wanted, options.numeric_owner, owners) != present.uid, Attribute::owner);
        note(wanted_gid(wanted, options.numeric_owner, owners) != present.gid, Attribute::group);
    }
    note(wanted.type != FileType::symlink && wanted.mode != present.mode, Attribute::mode);
    note(options.mtime && wanted.mtime != present.mtime, Attribute::mtime);
    note(options.attributes && wanted.attributes != present.attributes, Attribute::attributes);
    return differences;
}

Result<std::vector<Attribute>> compare_entry(int directory_fd, const std::string& name,
                                             const FileMetadata& wanted, const CompareOptions& options,
                                             OwnerNames& owners) {
    FileMetadata present;
    if (Result<void> read = read_details(directory_fd, name, present, owners); !read) {
        if (read.error().code() == ErrorCode::not_found) return std::vector{Attribute::existence};
        return std::unexpected(read.error());
    }
    return compare_metadata(wanted, present, options, owners);
}

bool unchanged_since(const FileMetadata& before, const FileMetadata& now, FileTime before_started,
                     bool ignore_inode) {
    if (before.type != now.type || before.size_bytes != now.size_bytes || before.mtime != now.mtime ||
        before.ctime != now.ctime || (!ignore_inode && before.inode != now.inode)) {
        return false;
    }
    // A time without a fraction comes from a clock of whole or even seconds (FAT, old NFS); others tick with
    // the kernel, at least every 10 ms.
    const bool coarse = before.ctime.nanoseconds == 0;
    FileTime settled = before.ctime;
    settled.seconds += coarse ? 2 : 0;
    settled.nanoseconds += coarse ? 0 : 10'000'000;
    if (settled.nanoseconds >= 1'000'000'000) {
        settled.nanoseconds -= 1'000'000'000;
        ++settled.seconds;
    }
    return settled < before_started;
}

} // namespace holdfast
