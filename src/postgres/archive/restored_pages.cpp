#include "postgres/archive/restored_pages.h"

#include "postgres/wal/block_changes.h"
#include "postgres/wal/wal_event.h"
#include "postgres/wal/wal_reader.h"

#include <algorithm>

namespace holdfast::postgres {

namespace {

// What all records that start in `log` changed; nothing when it does not decode to its end.
std::optional<BlockChanges> changes_in(const WalArchive& archive, const WalRange& log,
                                       const CallOptions& call) {
    const std::vector<LogSliceId> slices = archive.slices_of(log, call);
    if (slices.empty()) return std::nullopt;
    const WalDetails details = archive.details(slices.front(), call);
    BlockChanges changes(log.begin);
    const Lsn page{log.begin.value / wal_page_bytes * wal_page_bytes};
    WalReader reader({details.version, details.segment_bytes, details.system_identifier, log.timeline}, page,
                     [&](const WalRecord& record) {
                         if (record.start >= log.begin && record.start < log.end)
                             changes.add(record, wal_event::event_of(record, details.version));
                     });
    const Lsn reached =
        archive.read({log.timeline, page, log.end}, [&](ByteView bytes) { reader.feed(bytes); }, call);
    if (reached < log.end || reader.end() || !changes.usable()) return std::nullopt;
    return changes;
}

bool changed(const BlockChanges::ForkChanges& fork) {
    return fork.known_below == 0 || (fork.blocks != nullptr && !fork.blocks->empty());
}

bool restores(const BlockChanges& changes, const BadPage& page, std::uint32_t segment_blocks) {
    const RelationFork& relation = page.segment.relation;
    // There the map is coarser than the log: it may say that a page is changed which is not.
    if (changes.of_directory(relation.tablespace, relation.database).too_much) return false;
    const RelationFile file{relation.tablespace, relation.database, relation.number};
    if (relation.fork == Fork::free_space_map || relation.fork == Fork::visibility_map)
        return changed(changes.of_fork(file, Fork::main));
    return !changes.of_fork(file, relation.fork)
                .unchanged(page.segment.segment * segment_blocks + page.block);
}

} // namespace

void settle_by_log(PageFindings& pages, const WalArchive& archive, const WalRange& log,
                   std::uint32_t segment_blocks, bool may_read_content, const CallOptions& call) {
    if (pages.bad.empty() && pages.unsettled.empty()) return;
    const std::optional<BlockChanges> changes =
        may_read_content ? changes_in(archive, log, call) : std::nullopt;
    if (!changes) return pages.settle(log.end);
    pages.settle([&](const BadPage& page) { return restores(*changes, page, segment_blocks); });
}

} // namespace holdfast::postgres
