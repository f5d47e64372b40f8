// What an archive has for one stretch of a timeline's log: mostly one content, in however many slices;
// several where two servers wrote it, each taking itself for the only one.
//
// Slices of one run are of one stream, and never rivals. Those of several runs overlap where a receiver was
// started anew, or where a backup brought the beginning of a segment; so that they do means nothing, and
// their contents are compared: by digests where they have the same length, else by the last bytes that both
// have. (A server's log has the time of each commit in it, so two that have parted do not meet again.)
#pragma once

#include "postgres/recovery/recovery_source.h"

#include <memory>
#include <span>
#include <string>
#include <vector>

namespace holdfast::postgres {

// The bytes of a content, and what their records say.
struct VersionContent {
    Lsn begin;
    Bytes bytes;
    // Of its records, the first that begins in it first; what a slice would say, without a summary.
    WalDetails details;
    std::optional<Lsn> broken;     // from here on nothing decodes, though bytes come
    std::vector<WalRange> backups; // from the start of a backup to the record that ends it; no timeline

    Lsn end() const { return begin + bytes.size(); }
};

// One content of a stretch.
struct LogVersion {
    std::vector<LogSliceId> slices; // all that have some of it and nothing else, sorted
    Lsn begin;
    Lsn end;
    // Of the first record that starts in it, which one it says it follows; of the last one, where it starts,
    // and where the next one must. 0: not known.
    Lsn previous;
    Lsn last;
    Lsn next;
    std::shared_ptr<const VersionContent> content; // once it was read
};

// Slices that overlap, one with the next.
struct LogStretch {
    Lsn begin;
    Lsn end;
    std::vector<LogVersion> versions; // of each at least one slice; the first one leads furthest

    bool has_rivals() const { return versions.size() > 1; }
};

// The slices of a timeline with log of [from, until), grouped where they overlap; from names alone.
std::vector<std::vector<LogSliceId>> overlapping_slices(std::span<const LogSliceId> slices,
                                                        TimelineId timeline, Lsn from, Lsn until);
// Whether they are of more than one run.
bool are_of_several_runs(std::span<const LogSliceId> slices);

// What a group of overlapping slices comes to. Reads contents only where runs overlap; who cannot read any
// takes all for one. Throws what the source's functions throw.
LogStretch look_at_stretch(const RecoverySource& source, std::vector<LogSliceId> slices);

// Reads the content of a version, unless it was read.
const VersionContent& content_of(const RecoverySource& source, LogVersion& version);

// Whether `next`, which begins where `version` ends, may be its continuation by what they say of their
// records: the first of one names the last of the other.
bool may_follow(const LogVersion& version, const LogVersion& next);
// The same by their bytes: also a record that lies in both must have the right checksum. True when nothing
// can be told.
bool follows_by_content(const RecoverySource& source, LogVersion& version, LogVersion& next);

// The first position at which two contents differ; where the shorter one ends, if they do not.
Lsn first_difference(const VersionContent& a, const VersionContent& b);
// What is to be said of the records of a content that end at or before `end`.
WalDetails details_up_to(const VersionContent& content, Lsn end);

} // namespace holdfast::postgres
