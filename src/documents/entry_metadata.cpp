#include "documents/entry_metadata.h"

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

} // namespace holdfast
