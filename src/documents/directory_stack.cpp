#include "documents/directory_stack.h"

#include "documents/entry_name.h"

#include <algorithm>

#include <fmt/format.h>

namespace holdfast {

DirectoryStack::DirectoryStack(FileDescriptor base, std::size_t most_open)
    : most_open_(std::max<std::size_t>(most_open, 2)) {
    levels_.push_back(Level{.name = ".", .directory = std::make_shared<FileDescriptor>(std::move(base))});
    open_count_ = 1;
}

Result<void> DirectoryStack::push(std::string name, FileDescriptor directory, FollowLinks follow) {
    FileMetadata metadata;
    if (Result<void> status = stat_descriptor(directory.get(), metadata); !status) return status;
    levels_.push_back(Level{.name = std::move(name),
                            .directory = nullptr,
                            .device = metadata.device,
                            .inode = metadata.inode,
                            .follow = follow});
    keep_open(levels_.size() - 1, std::move(directory));
    return {};
}

void DirectoryStack::keep_open(std::size_t level, FileDescriptor directory) {
    levels_[level].directory = std::make_shared<FileDescriptor>(std::move(directory));
    ++open_count_;
    // The directories near the base are needed again last.
    for (std::size_t i = 1; i < levels_.size() && open_count_ > most_open_; ++i) {
        if (i == level || !levels_[i].directory) continue;
        levels_[i].directory.reset();
        --open_count_;
    }
}

bool DirectoryStack::is_same(const Level& level, int fd) const {
    FileMetadata metadata;
    return stat_descriptor(fd, metadata) && metadata.device == level.device && metadata.inode == level.inode;
}

void DirectoryStack::pop() {
    const Level child = std::move(levels_.back());
    levels_.pop_back();
    if (!child.directory) return;
    --open_count_;
    if (levels_.back().directory) return;
    Result<FileDescriptor> parent = open_directory(child.directory->get(), "..");
    if (parent && is_same(levels_.back(), parent->get())) keep_open(levels_.size() - 1, std::move(*parent));
}

Result<SharedDirectory> DirectoryStack::at(std::size_t level) {
    if (levels_[level].directory) return levels_[level].directory;
    std::size_t from = level;
    while (!levels_[from].directory) --from;
    SharedDirectory current = levels_[from].directory;
    for (std::size_t i = from + 1; i <= level; ++i) {
        Result<FileDescriptor> next = open_directory(current->get(), levels_[i].name, levels_[i].follow);
        if (!next) return std::unexpected(next.error());
        if (!is_same(levels_[i], next->get())) {
            return std::unexpected(Error(
                ErrorCode::not_found,
                fmt::format("directory {} was replaced while it was in use", printable(levels_[i].name)),
                "run the command again"));
        }
        if (i == level) {
            keep_open(level, std::move(*next));
            return levels_[level].directory;
        }
        current = std::make_shared<FileDescriptor>(std::move(*next));
    }
    return current;
}

} // namespace holdfast
