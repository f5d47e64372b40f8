#include "postgres/recovery/unstored_commit.h"

#include "base/error.h"
#include "postgres/recovery/log_chain.h"
#include "postgres/wal/wal_event.h"

#include <algorithm>
#include <ranges>

#include <fmt/format.h>

namespace holdfast::postgres {

namespace {

// A load that commits once can write any amount before.
constexpr std::uint64_t most_bytes = std::uint64_t{256} << 20;
// Of slices in which no record ends: one that goes across many is rare, and short slices are merged soon.
constexpr std::size_t most_slices = 256;

// The record that lies across a position, or that starts there, and the stored slices that have its
// beginning.
struct RecordAcross {
    Lsn start;
    std::vector<LogSliceId> slices; // from the newest back
};

RecordAcross record_across(const RecoverySource& source, const WrittenLog& log) {
    // A timeline is left behind a whole record.
    const auto is_here = [&](const auto& ancestor) { return ancestor.end == log.begin; };
    if (std::ranges::any_of(log.history.ancestors(), is_here)) return {log.begin, {}};
    const TimelineId timeline = log.history.timeline_at(Lsn{log.begin.value - 1});
    RecordAcross across{log.begin, {}};
    while (across.slices.size() < most_slices) {
        const Lsn end = across.start;
        for (const LogSliceId& slice : source.slices) {
            if (slice.range.branch != timeline || slice.range.end != end.value ||
                slice.range.begin >= end.value)
                continue;
            const WalDetails details = source.details(slice);
            const bool says = details.broken.empty() && details.records_to && details.records_to <= log.begin;
            // Any that ends here leads further back.
            if (across.start == end) across.slices.push_back(slice);
            across.start = Lsn{slice.range.begin};
            if (!says) continue;
            across.slices.back() = slice;
            across.start = details.records_to;
            return across;
        }
        if (across.start == end) break;
    }
    throw Error(ErrorCode::incompatible,
                fmt::format("no slice tells where the record at {} begins", log.begin.str()));
}

void feed_beginning(const RecoverySource& source, const RecordAcross& across, WalReader& reader) {
    for (const LogSliceId& slice : std::views::reverse(across.slices)) {
        const Lsn end{slice.range.end};
        if (reader.position() < end) reader.feed(source.part(slice, reader.position(), end));
    }
}

} // namespace

std::optional<Timestamp> first_unstored_commit(const RecoverySource& source, const WalSource& of,
                                               const WrittenLog& log, const ReadLog& read) {
    const RecordAcross across = record_across(source, log);
    std::optional<Timestamp> commit;
    WalReader reader(of, across.start, [&](const WalRecord& record) {
        if (commit || record.end <= log.begin || !record.is_of(ResourceManager::transaction)) return;
        const wal_event::Event event = wal_event::event_of(record, of.version);
        const auto* end = std::get_if<wal_event::TransactionEnd>(&event);
        if (end != nullptr && end->committed) commit = from_unix_microseconds(end->time);
    });
    if (across.start < log.begin) {
        if (!source.part)
            throw Error(ErrorCode::wrong_key,
                        "this key cannot read the beginning of a record that is stored");
        feed_beginning(source, across, reader);
    }
    read(log, [&](ByteView bytes) {
        reader.feed(bytes);
        if (commit || reader.end()) return false;
        if (reader.position() - log.begin <= most_bytes) return true;
        throw Error(ErrorCode::incompatible, fmt::format("{} MiB of log have no commit", most_bytes >> 20));
    });
    if (!commit && reader.end())
        throw Error(ErrorCode::corrupt, fmt::format("the server's log cannot be followed from {} on: {}",
                                                    reader.end()->at.str(), reader.end()->detail));
    if (!commit && reader.position() < log.end)
        throw Error(ErrorCode::corrupt,
                    fmt::format("the server's log could be read to {} only", reader.position().str()));
    return commit;
}

} // namespace holdfast::postgres
