// Comparing two copies of a page by everything but hints: what PostgreSQL may change in a page without a
// record in its log, because it can be found out again.
//
// What is masked, by kind of page, which is recognised by the size and the mark of its special space:
//
//   every page   the checksum, as it follows from the rest; pd_prune_xid and the flags PD_HAS_FREE_LINES and
//                PD_PAGE_FULL, which only say whether pruning or a search for a free line pays
//   heap         per tuple XMIN_COMMITTED and XMIN_INVALID unless both are set, XMAX_COMMITTED, XMAX_INVALID:
//                set by whoever looks at the tuple. Both XMIN bits together mean frozen, which is logged
//   b-tree       LP_DEAD of items (an index scan found the row gone), BTP_HAS_GARBAGE that goes with it, and
//                the cycle number of a vacuum, which a later vacuum wipes
//   hash, GiST   LP_DEAD of items, and the page's flag that there are such
//   BRIN         the flag that the page is being emptied
//   SP-GiST      on the meta page the cache of recently used pages, and `lower`, which is set along with it
//
// Not masked: PD_ALL_VISIBLE, LP_DEAD of heap pages, frozen tuples, t_ctid, all of which are logged; and the
// page's log position, which only changes with a record, as where hints are logged (wal_log_hints, or
// checksums) the page is logged with them. Free-space maps are hints as a whole: they are not for comparing.
// Sequences, GIN and pages of unknown kinds have no hints beside those of every page. Versions 13 to 18.
//
// One more thing changes without a record of its own, and is no hint: nextval() logs 32 values ahead, and
// then changes the sequence's page up to 32 times, its log position staying. Two copies of a sequence's page
// from different moments may differ; two of the same moment may not.
#pragma once

#include "base/bytes.h"
#include "postgres/wal/lsn.h"

namespace holdfast::postgres {

// Masks the hints in `page`, a whole page of 1 to 32 KiB. Pages whose header makes no sense, and pages of
// zeros, stay as they are.
void mask_hint_bits(MutableByteView page);

// Whether the pages are the same but for hints. Pages of different sizes are not.
bool equal_but_hint_bits(ByteView a, ByteView b);

// Whether `now` may have come from `then` by records behind `since` alone, as far as pages tell. Records that
// change a page leave their position in it, but for two cases in which there is no telling: a page of zeros,
// of a relation that was cut short and has grown again; and PD_ALL_VISIBLE, which is set by a record that
// leaves no position where hints are not logged.
bool may_have_changed_since(ByteView then, ByteView now, Lsn since);

} // namespace holdfast::postgres
