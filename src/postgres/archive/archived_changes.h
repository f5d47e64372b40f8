// Which blocks the log of an archive says have changed between two of its positions.
#pragma once

#include "postgres/archive/wal_archive.h"
#include "postgres/capture/changed_blocks.h"
#include "postgres/wal/block_changes.h"

#include <optional>
#include <string>

namespace holdfast::postgres {

struct ArchivedChanges {
    // The map of all records that start in [from, to), if the archive tells them all.
    std::optional<BlockChanges> changes;
    std::string missing; // else: what it lacks, for people
};

// From the summaries of slices; where a record crosses from one slice to another that was written by somebody
// else, and neither tells of it, the content is read, if the keys read content. The range's ends are starts
// of records, such as redo positions. Up to `agreed`, where the earlier backup ended, all that the archive
// has must be of one history: nothing is told of a server that was set back to an earlier state and went on.
// A slice that cannot be read is one that is missing.
ArchivedChanges changes_between(const WalArchive& archive, const WalRange& range, Lsn agreed,
                                bool may_read_content, const CallOptions& call = {});

// A change map as a capture asks for it.
class MappedBlocks final : public ChangedBlocks {
  public:
    // `segment_blocks`: blocks of a relation's file, 131072 as PostgreSQL is built. `changes` must outlive
    // it.
    MappedBlocks(const BlockChanges& changes, std::uint32_t segment_blocks)
        : changes_(changes), segment_blocks_(segment_blocks) {}
    SegmentChanges of(const RelationSegment& segment) const override;

  private:
    const BlockChanges& changes_;
    std::uint32_t segment_blocks_;
};

} // namespace holdfast::postgres
