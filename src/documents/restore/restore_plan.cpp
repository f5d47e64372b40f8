#include "documents/restore/restore_plan.h"

#include "documents/directory_reader.h"
#include "documents/entry_metadata.h"
#include "documents/metadata_compare.h"
#include "documents/result_value.h"

#include <algorithm>

namespace holdfast {

std::string_view to_string(PlannedAction action) {
    switch (action) {
    case PlannedAction::create:
        return "create";
    case PlannedAction::write:
        return "write";
    case PlannedAction::metadata:
        return "metadata";
    case PlannedAction::link:
        return "link";
    case PlannedAction::remove:
        return "remove";
    }
    return "write";
}

void RestorePlan::add(PlannedAction action, const std::string& path, bool directory, std::uint64_t bytes) {
    if (settings_.plan) settings_.plan({action, path, directory, bytes});
    report_.wrote(bytes);
}

void RestorePlan::missing(const TreeEntry& entry, const std::string& path) {
    if (entry.type == EntryType::socket) return;
    if (further_names_.is_one(entry, path)) return add(PlannedAction::link, path, false);
    add(PlannedAction::create, path, false, entry.type == EntryType::file ? entry.size : 0);
}

void RestorePlan::entry(int directory_fd, const TreeEntry& entry, const std::string& path) {
    FileMetadata present;
    const Result<void> found = stat_entry(directory_fd, entry.name, present);
    if (!found && found.error().code() != ErrorCode::not_found) throw found.error();
    if (!found || entry_type(present.type) != entry.type) {
        if (found) add(PlannedAction::remove, path, present.is_directory());
        return missing(entry, path);
    }
    const FurtherNames::Inode inode{present.device, present.inode};
    if (further_names_.is_one(entry, path)) {
        if (!further_names_.is_kept(entry, inode)) add(PlannedAction::link, path, false);
        return;
    }
    if (entry.type == EntryType::file) {
        if (const auto bytes = files_.would_write(directory_fd, entry))
            return add(PlannedAction::write, path, false, *bytes);
        report_.add([](TreeRestoreResult& result) { ++result.same_files; });
        further_names_.set_kept(entry, inode);
    }
    metadata(directory_fd, entry.name, entry, path);
}

void RestorePlan::metadata(int directory_fd, const std::string& name, const TreeEntry& entry,
                           const std::string& path) {
    const CompareOptions options{.owner = settings_.metadata.owner,
                                 .numeric_owner = settings_.metadata.numeric_owner,
                                 .attributes = settings_.metadata.attributes};
    const std::vector<Attribute> differ =
        value_of(compare_entry(directory_fd, name, to_metadata(entry), options, owners_));
    if (differ.empty()) return;
    const bool content = std::ranges::any_of(differ, [](Attribute attribute) {
        return attribute == Attribute::link_target || attribute == Attribute::device_number;
    });
    add(content ? PlannedAction::write : PlannedAction::metadata, path, entry.type == EntryType::directory);
}

} // namespace holdfast
