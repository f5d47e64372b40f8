#include "postgres/archive/restored_pages.h"

#include "postgres/wal/block_changes.h"
#include "postgres/wal/wal_event.h"
#include "postgres/wal/wal_reader.h"

#include <set>

namespace holdfast::postgres {

namespace {

bool is_map(Fork fork) { return fork == Fork::free_space_map || fork == Fork::visibility_map; }

// What the log of a backup changed.
struct LogOfBackup {
    BlockChanges changes;
    std::set<RelationFile> maps; // of those that were asked for, whose maps the log names all the same

    // Nothing when the log does not decode to its end.
    static std::optional<LogOfBackup> read(const WalArchive& archive, const WalRange& log,
                                           const std::set<RelationFile>& asked, const CallOptions& call) {
        const std::vector<LogSliceId> slices = archive.slices_of(log, call);
        if (slices.empty()) return std::nullopt;
        const WalDetails details = archive.details(slices.front(), call);
        LogOfBackup found{BlockChanges(log.begin), {}};
        const Lsn page{log.begin.value / wal_page_bytes * wal_page_bytes};
        WalReader reader({details.version, details.segment_bytes, details.system_identifier, log.timeline},
                         page, [&](const WalRecord& record) {
                             if (record.start < log.begin || record.start >= log.end) return;
                             found.changes.add(record, wal_event::event_or_unknown(record, details.version));
                             for (const BlockReference& block : record.blocks) {
                                 if (is_map(block.fork) && asked.contains(block.relation))
                                     found.maps.insert(block.relation);
                             }
                         });
        const Lsn reached =
            archive.read({log.timeline, page, log.end}, [&](ByteView bytes) { reader.feed(bytes); }, call);
        if (reached < log.end || reader.end() || !found.changes.usable()) return std::nullopt;
        return found;
    }

    bool restores(const BadPage& page, std::uint32_t segment_blocks) const {
        const RelationFork& relation = page.segment.relation;
        // There the map is coarser than the log: it may say that a page is changed which is not.
        if (changes.of_directory(relation.tablespace, relation.database).too_much) return false;
        const RelationFile file = file_of(page);
        if (!is_map(relation.fork)) {
            return !changes.of_fork(file, relation.fork)
                        .unchanged(page.segment.segment * segment_blocks + page.block);
        }
        const BlockChanges::ForkChanges fork = changes.of_fork(file, Fork::main);
        return maps.contains(file) || fork.known_below == 0 ||
               (fork.blocks != nullptr && !fork.blocks->empty());
    }

    static RelationFile file_of(const BadPage& page) {
        const RelationFork& relation = page.segment.relation;
        return {relation.tablespace, relation.database, relation.number};
    }
};

} // namespace

void settle_by_log(PageFindings& pages, const WalArchive& archive, const WalRange& log,
                   std::uint32_t segment_blocks, bool may_read_content, const CallOptions& call) {
    if (pages.bad.empty() && pages.unsettled.empty()) return;
    std::set<RelationFile> asked;
    for (const std::vector<BadPage>* all : {&pages.bad, &pages.unsettled}) {
        for (const BadPage& page : *all) asked.insert(LogOfBackup::file_of(page));
    }
    const std::optional<LogOfBackup> changed =
        may_read_content ? LogOfBackup::read(archive, log, asked, call) : std::nullopt;
    if (!changed) return pages.settle(log.end);
    pages.settle([&](const BadPage& page) { return changed->restores(page, segment_blocks); });
}

} // namespace holdfast::postgres
