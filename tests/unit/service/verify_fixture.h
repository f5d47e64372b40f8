// Two snapshots, verified again and again.
#pragma once

#include "repository/content/content_reader.h"
#include "repository/node/directory_cursor.h"
#include "service/verify.h"
#include "support/document_repository.h"

#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace holdfast {

class VerifyTest : public testing::Test {
  protected:
    // Two snapshots: files of several packs, and one that is large enough for segments.
    void SetUp() override {
        files.write_file("small/a.txt", "one");
        files.write_file("small/b.txt", "two");
        files.write_file("first.bin", 1'500'000, 1);
        files.write_file("second.bin", 1'500'000, 2);
        files.write_file("large.bin", 17u << 20, 3);
        older = files.back_up();
        files.write_file("third.bin", 1'200'000, 4);
        newer_one = files.back_up();
        files.reopen();
    }

    VerifyReport verify(bool read_data, VerifySettings settings = {}) {
        settings.read_data = read_data;
        settings.compare_files = read_data;
        files.reopen();
        Progress progress;
        return verify_repository(*files.repository, settings, progress, {});
    }

    static std::vector<std::string> damaged(const VerifyReport& report) {
        std::vector<std::string> names;
        for (const Damage& damage : report.damages) names.push_back(damage.object);
        return names;
    }
    static std::set<std::string> affected(const VerifyReport& report, const RunId& snapshot) {
        std::set<std::string> paths;
        for (const AffectedPath& path : report.affected_paths) {
            if (path.snapshot == snapshot) paths.insert(path.path);
        }
        return paths;
    }

    // A pack in which bytes of this file lie.
    std::string pack_of(const Snapshot& snapshot, const std::string& path) {
        NodeReader& nodes = files.repository->nodes();
        const auto entry = find_path(nodes, snapshot.root, files.path_in_snapshot(path));
        std::string pack;
        if (entry)
            for_each_extent(nodes, *entry,
                            [&](const Extents& extents) { pack = extents.back().frame.pack.name(); });
        EXPECT_FALSE(pack.empty()) << path;
        return pack;
    }

    test::DocumentRepository files;
    Snapshot older, newer_one;
};

} // namespace holdfast
