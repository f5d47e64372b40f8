#include "documents/entry_metadata.h"

#include "repository/node/directory_leaf.h"

namespace holdfast {

EntryType entry_type(FileType type) {
    switch (type) {
    case FileType::regular:
        return EntryType::file;
    case FileType::directory:
        return EntryType::directory;
    case FileType::symlink:
        return EntryType::symlink;
    case FileType::fifo:
        return EntryType::fifo;
    case FileType::socket:
        return EntryType::socket;
    case FileType::char_device:
        return EntryType::character_device;
    case FileType::block_device:
        return EntryType::block_device;
    }
    return EntryType::file;
}

FileType file_type(EntryType type) {
    switch (type) {
    case EntryType::file:
        return FileType::regular;
    case EntryType::directory:
        return FileType::directory;
    case EntryType::symlink:
        return FileType::symlink;
    case EntryType::fifo:
        return FileType::fifo;
    case EntryType::socket:
        return FileType::socket;
    case EntryType::character_device:
        return FileType::char_device;
    case EntryType::block_device:
        return FileType::block_device;
    }
    return FileType::regular;
}

FileMetadata to_metadata(const TreeEntry& entry) {
    FileMetadata metadata;
    metadata.type = file_type(entry.type);
    metadata.mode = entry.mode;
    metadata.uid = entry.uid;
    metadata.gid = entry.gid;
    metadata.mtime = entry.mtime;
    metadata.ctime = entry.ctime;
    metadata.size_bytes = entry.type == EntryType::directory ? 0 : entry.size;
    metadata.inode = entry.inode;
    metadata.device = entry.device;
    metadata.link_count = entry.links;
    metadata.rdev_major = entry.major;
    metadata.rdev_minor = entry.minor;
    metadata.user = entry.user;
    metadata.group = entry.group;
    metadata.link_target = entry.target;
    for (const auto& [name, value] : entry.xattrs) metadata.attributes.push_back({name, value});
    return metadata;
}

TreeEntry to_entry(std::string name, const FileMetadata& metadata) {
    TreeEntry entry;
    entry.name = std::move(name);
    entry.type = entry_type(metadata.type);
    entry.mode = static_cast<std::uint16_t>(metadata.mode);
    entry.uid = metadata.uid;
    entry.gid = metadata.gid;
    entry.mtime = metadata.mtime;
    entry.ctime = metadata.ctime;
    entry.inode = metadata.inode;
    entry.device = metadata.device;
    entry.links = metadata.link_count;
    entry.size = metadata.size_bytes;
    entry.major = metadata.rdev_major;
    entry.minor = metadata.rdev_minor;
    return entry;
}

bool has_details_of(const TreeEntry& before, const FileMetadata& metadata) {
    return before.type == entry_type(metadata.type) && before.ctime == metadata.ctime &&
           before.inode == metadata.inode;
}

bool set_details(TreeEntry& entry, const TreeEntry* before, const FileMetadata& metadata) {
    if (before != nullptr) {
        entry.user = before->user;
        entry.group = before->group;
        entry.xattrs = before->xattrs;
        entry.target = before->target;
        return true;
    }
    entry.user = metadata.user;
    entry.group = metadata.group;
    entry.target = metadata.link_target;
    for (const ExtendedAttribute& attribute : metadata.attributes)
        entry.xattrs.emplace_back(attribute.name, attribute.value);
    if (entry_size_bound(entry) <= max_entry_bytes) return true;
    entry.xattrs.clear();
    return false;
}

} // namespace holdfast
