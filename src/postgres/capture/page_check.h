// Checking the pages of relations as they are read.
#pragma once

#include "base/clock.h"
#include "postgres/capture/cluster_file.h"
#include "postgres/files/page.h"
#include "postgres/files/relation_path.h"

#include <atomic>
#include <functional>
#include <mutex>
#include <stop_token>
#include <string>
#include <vector>

namespace holdfast::postgres {

struct PageCheckSettings {
    std::uint32_t block_bytes = 8192;
    std::uint32_t segment_blocks = 131072;
    PageRules rules;
    // A page that is not good is read again so often, after so long each time: the server may be writing it.
    unsigned attempts = 4;
    Duration pause = std::chrono::milliseconds(50);
};

struct BadPage {
    std::string path; // of the file, relative to the data directory
    RelationSegment segment;
    std::uint32_t block = 0; // in that file
    Lsn lsn;                 // which the page claims
    std::string why;
};

// What was found, in the order of paths and blocks.
struct PageFindings {
    std::vector<BadPage> bad; // the first ten thousand
    std::uint64_t bad_pages = 0;
    // Not good either, but last changed since the backup began, if they can be believed: the log from its
    // start restores them. At most ten thousand; what is more counts as bad.
    std::vector<BadPage> unsettled;

    // Once the backup has stopped: what claims to have been changed after that was not, and is bad.
    void settle(Lsn stop);
    // The same where it is known which pages the log restores: those are forgotten, the others are bad.
    void settle(const std::function<bool(const BadPage&)>& restored);
};

// Thread-safe.
class PageCheck {
  public:
    PageCheck(const PageCheckSettings& settings, Clock& clock) : settings_(settings), clock_(clock) {}

    // Judges the whole blocks in `bytes`, which were read from `file` at `offset`; reads again, in place,
    // what is not good. Nothing is checked without checksums. Throws Error(cancelled).
    void check(ClusterFile& file, const RelationSegment& segment, const std::string& path,
               std::uint64_t offset, MutableByteView bytes, const std::stop_token& stop);
    // The same where nothing can be read again.
    void check_once(const RelationSegment& segment, const std::string& path, std::uint64_t offset,
                    ByteView bytes);
    PageFindings take_findings();

  private:
    struct Suspect {
        std::size_t at = 0; // in the bytes
        std::uint32_t block = 0;
        PageVerdict verdict;
    };
    PageVerdict judge(const RelationSegment& segment, std::uint32_t block, ByteView page) const;
    std::vector<Suspect> suspects_in(const RelationSegment& segment, std::uint64_t offset,
                                     ByteView bytes) const;
    void report(const std::string& path, const RelationSegment& segment, const Suspect& suspect);

    const PageCheckSettings settings_;
    Clock& clock_;
    std::atomic<std::uint64_t> pauses_{0};
    std::mutex mutex_;
    PageFindings findings_;
};

} // namespace holdfast::postgres
