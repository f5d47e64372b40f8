// Pages that were not good when a backup read them, and that the log of the backup restores all the same.
//
// A server may write a page while it is read: then the bytes are part old, part new, and neither the checksum
// nor the position in its header, which may be the old one, tell that from damage. The log does. Whoever
// recovers from the backup replays it from its start; the first change of a page behind that carries an
// image of all of it, or makes it anew (full_page_writes; a running backup has the server do so in any case).
// And no page is written before the log of its changes is. So a page that a server was writing is in the log
// between start and stop, and what is there for it is restored, whatever was read. What is not there is
// damaged.
//
// Free-space and visibility maps are changed without naming their pages (block_changes.h). Servers take a
// page of them whose checksum is wrong for an empty one and make it anew; so a page that is not good is taken
// for torn when the log changes its relation.
#pragma once

#include "postgres/archive/wal_archive.h"
#include "postgres/capture/page_check.h"

namespace holdfast::postgres {

// Settles `pages` by `log`, the log of the backup from start to stop, all of which is in `archive`: what the
// log restores is dropped, everything else is bad. Reads all of that log when there is anything to settle.
// Where the log cannot be read (`may_read_content`) or does not decode, positions decide, as
// PageFindings::settle has it. `segment_blocks`: blocks of a relation's file.
void settle_by_log(PageFindings& pages, const WalArchive& archive, const WalRange& log,
                   std::uint32_t segment_blocks, bool may_read_content, const CallOptions& call = {});

} // namespace holdfast::postgres
