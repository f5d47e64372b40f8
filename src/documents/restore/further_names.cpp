#include "documents/restore/further_names.h"

#include "base/error.h"
#include "documents/directory_reader.h"
#include "documents/entry_writer.h"

namespace holdfast {

namespace {

FileDescriptor open_parent(int base_fd, const std::string& path) {
    const std::size_t slash = path.rfind('/');
    Result<FileDescriptor> directory =
        open_directory_path(base_fd, slash == std::string::npos ? "" : path.substr(0, slash));
    if (!directory) throw directory.error();
    return std::move(*directory);
}

std::string last_name(const std::string& path) { return path.substr(path.rfind('/') + 1); }

} // namespace

bool FurtherNames::is_one(const TreeEntry& entry, const std::string& path) {
    if (entry.type != EntryType::file || entry.links < 2) return false;
    const auto [first, is_first] = first_.try_emplace({entry.device, entry.inode}, First{path, entry, {}});
    const TreeEntry& same = first->second.entry;
    if (is_first || same.size != entry.size || same.mtime != entry.mtime || same.digest != entry.digest ||
        same.content != entry.content) {
        return false;
    }
    further_.push_back({path, first->second.path});
    return true;
}

void FurtherNames::set_kept(const TreeEntry& entry, const Inode& present) {
    const auto first = first_.find({entry.device, entry.inode});
    if (first != first_.end()) first->second.kept = present;
}

bool FurtherNames::is_kept(const TreeEntry& entry, const Inode& present) const {
    const auto first = first_.find({entry.device, entry.inode});
    return first != first_.end() && first->second.kept == present;
}

void FurtherNames::link_all(int base_fd, bool in_place, RestoreReport& report) const {
    for (const Further& name : further_) {
        try {
            link(base_fd, name, in_place);
            report.finished_file();
        } catch (const Error& error) {
            report.problem(name.path, error.message());
        }
    }
}

void FurtherNames::link(int base_fd, const Further& name, bool in_place) {
    const FileDescriptor from = open_parent(base_fd, name.first_path);
    const FileDescriptor to = open_parent(base_fd, name.path);
    FileMetadata first, present;
    const bool is_done = in_place && stat_entry(from.get(), last_name(name.first_path), first) &&
                         stat_entry(to.get(), last_name(name.path), present) &&
                         first.device == present.device && first.inode == present.inode;
    if (is_done) return;
    make_hard_link(from.get(), last_name(name.first_path), to.get(), last_name(name.path),
                   in_place ? Existing::replace : Existing::refuse);
}

} // namespace holdfast
