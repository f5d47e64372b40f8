// Proving the log archive of a source: that its records follow one another without a gap, that what slices
// say of them is so, and which times can be reached.
#pragma once

#include "base/progress.h"
#include "base/task_group.h"
#include "postgres/continuity/wal_finding.h"
#include "postgres/recovery/recovery_window.h"
#include "repository/repository.h"

#include <optional>
#include <stop_token>
#include <string>
#include <vector>

namespace holdfast::postgres {

struct WalVerifySettings {
    std::string source{};
    // At most one of these: only log that ends behind a position; what reaches a time, from the newest
    // snapshot before it on; what the newest snapshot needs, and what lies behind it. Of snapshots whose log
    // begins before, nothing is said.
    std::optional<Lsn> from{};
    std::optional<Timestamp> reaching{};
    bool newest = false;
    unsigned workers = worker_count();
};

struct VerifiedTimeline {
    TimelineId timeline = 0;
    std::vector<WalRange> stretches; // that are proven, ascending
    std::uint64_t records = 0;
    std::uint64_t commits = 0;
};

struct WalVerifyReport {
    Lsn from; // 0: from the beginning of the archive
    std::vector<VerifiedTimeline> timelines;
    std::uint64_t slices = 0;
    std::uint64_t bytes = 0; // of log, in all slices
    // False when the keys read no content: then only who wrote each slice was proven, and what positions it
    // has.
    bool decoded = true;
    std::uint64_t closed_slices = 0;  // that no key opens
    std::vector<WalFinding> findings; // by timeline and position; the first ten thousand
    std::uint64_t more_findings = 0;
    // The times that what was proven leads to.
    RecoveryWindow window;
    // Missing as well, but no snapshot that is kept would need it.
    std::vector<WalRange> idle_gaps;

    bool intact() const { return findings.empty() && window.unbroken(); }
    bool all_checked() const { return decoded && closed_slices == 0; }
};

// Changes nothing. What is wrong is in the report; what is thrown says nothing about the archive: a store
// that does not answer, Error(not_found) for a source without log, Error(usage) for a range that cannot be,
// and Error(cancelled). Memory: about 150 MiB and the names of all slices.
WalVerifyReport verify_wal(const Repository& repository, const WalVerifySettings& settings,
                           Progress& progress, std::stop_token stop);

} // namespace holdfast::postgres
