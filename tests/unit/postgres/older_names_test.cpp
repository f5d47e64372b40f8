// Names under which servers look for log that recovery fetched by a later timeline's.
#include "base/file_descriptor.h"
#include "postgres/archive/older_names.h"
#include "support/temporary_directory.h"
#include "support/wal_segments.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>

#include <gmock/gmock.h>

namespace holdfast::postgres {
namespace {

namespace fs = std::filesystem;
using test::MadeLog;
using test::small_segment_bytes;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

class OlderNames : public testing::Test {
  protected:
    OlderNames() {
        fs::create_directory(directory_ / "archive_status");
        std::ofstream(fetched, std::ios::binary) << as_text(log.bytes());
    }
    // Left within the segment at these offsets by timelines 1, 2, ….
    void leave(const std::vector<std::uint64_t>& offsets) const {
        TimelineHistory history(1);
        for (const std::uint64_t offset : offsets)
            history = history.branch(history.timeline() + 1, segment.begin + offset, "no recovery target");
        leave_older_names(fetched, {history.timeline(), segment.begin, segment.end}, history);
    }
    Bytes expected(std::uint64_t offset) const {
        Bytes bytes = log.bytes();
        std::fill(bytes.begin() + static_cast<std::ptrdiff_t>(offset), bytes.end(), Byte{0});
        return bytes;
    }
    std::string path(TimelineId timeline) const { return directory_ / log.name(0, timeline); }
    Bytes content(TimelineId timeline) const { return read_file(path(timeline), small_segment_bytes); }
    std::set<std::string> names(const std::string& below) const {
        std::set<std::string> found;
        for (const auto& entry : fs::directory_iterator(directory_ / below))
            if (entry.is_regular_file()) found.insert(entry.path().filename());
        return found;
    }

    const MadeLog log{Lsn{7 * small_segment_bytes}, 1};
    const WalRange segment{1, log.begin(), log.begin() + small_segment_bytes};
    test::TemporaryDirectory directory_;
    const std::string fetched = directory_ / "RECOVERYXLOG";
};

TEST_F(OlderNames, EachTimelineThatEndsInTheSegmentHasItsPart) {
    leave({5000, 5104, 900'000});
    EXPECT_THAT(names(""),
                UnorderedElementsAre("RECOVERYXLOG", log.name(0, 1), log.name(0, 2), log.name(0, 3)));
    EXPECT_EQ(content(1), expected(5000));
    EXPECT_EQ(content(2), expected(5104));
    EXPECT_EQ(content(3), expected(900'000));
    EXPECT_EQ(read_file(fetched, small_segment_bytes), log.bytes());
    EXPECT_THAT(
        names("archive_status"),
        UnorderedElementsAre(log.name(0, 1) + ".done", log.name(0, 2) + ".done", log.name(0, 3) + ".done"));
}

TEST_F(OlderNames, TimelinesThatEndElsewhereHaveNoneOfIt) {
    const TimelineHistory history = TimelineHistory(1)
                                        .branch(2, segment.begin, "at its beginning")
                                        .branch(3, segment.end, "at its end")
                                        .branch(4, segment.end + small_segment_bytes, "behind it");
    leave_older_names(fetched, {4, segment.begin, segment.end}, history);
    EXPECT_THAT(names(""), UnorderedElementsAre("RECOVERYXLOG"));
    EXPECT_THAT(names("archive_status"), IsEmpty());
}

TEST_F(OlderNames, WhatAServerHasStaysUnlessItIsLess) {
    // Received whole, and what came behind it; cut off; another's page.
    const auto write = [&](TimelineId timeline, const Bytes& bytes) {
        std::ofstream(path(timeline), std::ios::binary) << as_text(bytes);
    };
    write(1, log.bytes());
    write(2, Bytes(log.bytes().begin(), log.bytes().begin() + 6000));
    Bytes other = log.bytes();
    other[6500] ^= 1;
    write(3, other);
    leave({5000, 6001, 7000});
    EXPECT_EQ(content(1), log.bytes());
    EXPECT_EQ(content(2), expected(6001));
    EXPECT_EQ(content(3), expected(7000));
    EXPECT_THAT(names("archive_status"),
                UnorderedElementsAre(log.name(0, 2) + ".done", log.name(0, 3) + ".done"));
}

TEST_F(OlderNames, AreLookedForWhereTheFirstPageIsOfAnOlderTimeline) {
    EXPECT_FALSE(begins_on_older_timeline(fetched, 1));
    EXPECT_TRUE(begins_on_older_timeline(fetched, 2));
    fs::resize_file(fetched, 30);
    EXPECT_FALSE(begins_on_older_timeline(fetched, 2));
}

} // namespace
} // namespace holdfast::postgres
