// Trees put together entry by entry in a backup run, for tests of what puts them together.
#pragma once

#include "repository/node/directory_cursor.h"
#include "support/content_repository.h"

#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace holdfast::test {

class TreeFixture : public testing::Test {
  protected:
    static TreeEntry directory(const std::string& name) {
        TreeEntry entry;
        entry.name = name;
        entry.type = EntryType::directory;
        return entry;
    }
    static TreeEntry link(const std::string& name, const std::string& target = "somewhere") {
        TreeEntry entry;
        entry.name = name;
        entry.type = EntryType::symlink;
        entry.target = target;
        return entry;
    }
    // "a", "b/", "b/x", "b/y", … in order, after everything is stored.
    std::vector<std::string> listing(const TreeEntry& top) {
        if (!committed_) run_->commit(top.children, {}, SnapshotState::complete);
        committed_ = true;
        std::vector<std::string> found;
        list(top, "", found);
        return found;
    }

    ContentRepository files_;
    std::unique_ptr<BackupRun> run_ = files_.begin();

  private:
    void list(const TreeEntry& top, const std::string& above, std::vector<std::string>& found) {
        DirectoryCursor cursor(files_.repository->nodes(), top.children);
        while (const TreeEntry* entry = cursor.next()) {
            const bool below = entry->type == EntryType::directory;
            found.push_back(above + entry->name + (below ? "/" : ""));
            if (below) list(TreeEntry(*entry), above + entry->name + "/", found);
        }
    }

    bool committed_ = false;
};

} // namespace holdfast::test
