// What a restore in place would do, found out without doing it.
#pragma once

#include "documents/restore/file_restore.h"
#include "documents/restore/further_names.h"

#include <string>

namespace holdfast {

// Tells settings.plan, and counts in the report. Entries come in the order of the restore. Not thread-safe.
class RestorePlan {
  public:
    RestorePlan(const TreeRestoreSettings& settings, OwnerNames& owners, FileRestorer& files,
                FurtherNames& further_names, RestoreReport& report)
        : settings_(settings),
          owners_(owners),
          files_(files),
          further_names_(further_names),
          report_(report) {}

    void add(PlannedAction action, const std::string& path, bool directory, std::uint64_t bytes = 0);
    // For an entry, no directory, of which nothing is there.
    void missing(const TreeEntry& entry, const std::string& path);
    // For one that is looked for in the directory. Throws what the system throws, but for what is not there.
    void entry(int directory_fd, const TreeEntry& entry, const std::string& path);
    // For what is there as `name` and is to get the entry's metadata.
    void metadata(int directory_fd, const std::string& name, const TreeEntry& entry, const std::string& path);

  private:
    const TreeRestoreSettings& settings_;
    OwnerNames& owners_;
    FileRestorer& files_;
    FurtherNames& further_names_;
    RestoreReport& report_;
};

} // namespace holdfast
