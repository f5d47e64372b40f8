// A segment in which a timeline was left, by the names that it had before.
//
// The first segment of a timeline begins with the log of the one before, and recovery fetches it by the
// newest of its names. A server that answers queries meanwhile reads the record of a prepared transaction
// again when it comes to a shutdown checkpoint, from pg_wal, by the name of the timeline that it has got to
// (XLogReadTwoPhaseData in PostgreSQL's src/backend/access/transam/twophase.c, XLogReadDetermineTimeline in
// xlogutils.c). Without a file of that name it ends, and comes to the same point at each start.
#pragma once

#include "postgres/wal/timeline_history.h"

#include <string>

namespace holdfast::postgres {

// Whether the segment in the file `path`, fetched for `timeline`, begins with another one's log.
bool begins_on_older_timeline(const std::string& path, TimelineId timeline);

// `path` holds `segment`, the first of its timeline, of which `history` tells. For each ancestor that ends
// within it, its part goes beside the file by its own name, with zeros behind it, marked as archived where
// there is an archive_status, so that it is never pushed. A file that has that part already stays; one that
// has not, such as what a standby received too little of, is replaced. Throws what writing files throws.
void leave_older_names(const std::string& path, const WalRange& segment, const TimelineHistory& history);

} // namespace holdfast::postgres
