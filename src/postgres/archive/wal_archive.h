// The log archive of a cluster as a whole: which timelines there are, what is in it, and its bytes.
#pragma once

#include "base/error.h"
#include "postgres/archive/wal_details.h"
#include "postgres/wal/timeline_history.h"
#include "repository/log/log_path.h"
#include "repository/log/log_reader.h"
#include "repository/repository.h"

#include <functional>
#include <map>
#include <memory>
#include <vector>

namespace holdfast::postgres {

// The id of the archive of a source, for holders of the domain's identity key.
ArchiveId wal_archive_id(const KeyRing& keys, std::string_view source, std::uint64_t system_identifier);

// Asks the store anew in each call. Thread-safe. The context must outlive it.
class WalArchive {
  public:
    WalArchive(const RepositoryContext& context, ArchiveId archive)
        : context_(context), reader_(context), archive_(archive) {}

    // The same archive, as if of the log it had nothing but these slices, which are sorted.
    WalArchive only(std::vector<LogSliceId> slices) const;

    const ArchiveId& id() const { return archive_; }
    const LogReader& reader() const { return reader_; }

    // All slices that end behind `from`, in the order of timelines and positions, and those of no length.
    std::vector<LogSliceId> slices(Lsn from = {}, const CallOptions& call = {}) const;
    // Those that overlap `range`: a short listing, however large the archive.
    std::vector<LogSliceId> slices_of(const WalRange& range, const CallOptions& call = {}) const;

    // Of any slice with content that can be read; empty when there is none with content. Throws what the
    // first one throws when none of them can be read.
    std::optional<WalDetails> any_details(const CallOptions& call = {}) const;
    // Whether there is any log of `range`, by slices whose writers count.
    bool has_any_of(const WalRange& range, const CallOptions& call = {}) const;

    // The history of each timeline of which there is a history file, and of timeline 1. One that cannot be
    // read, or whose writer may not write logs, is told to `unreadable` and passed over; without that it
    // throws as LogReader does.
    using Unreadable = std::function<void(const LogSliceId&, const Error&)>;
    std::map<TimelineId, TimelineHistory> histories(std::span<const LogSliceId> all,
                                                    const CallOptions& call = {},
                                                    const Unreadable& unreadable = {}) const;
    // Of one timeline, the first that can be read; empty when the archive has no history file of it but such
    // whose writers may not write logs. Throws Error(corrupt) and the like when none of the others can be
    // read.
    std::optional<std::string> history_text(TimelineId timeline, const CallOptions& call = {}) const;
    // The same for writers: one that cannot be read, for whatever reason of its own, does not stand in the
    // way of a good one.
    std::optional<std::string> known_history(TimelineId timeline, const CallOptions& call = {}) const;

    WalDetails details(const LogSliceId& slice, const CallOptions& call = {}) const;

    // Gives `sink` the bytes of `range` in order, as far as there are any without a gap; returns where they
    // end. A slice that is damaged is passed over where another has its bytes. Throws what the reader throws.
    using Sink = std::function<void(ByteView)>;
    Lsn read(const WalRange& range, const Sink& sink, const CallOptions& call = {}) const;

  private:
    std::vector<LogSliceId> allowed(std::vector<LogSliceId> slices) const;

    const RepositoryContext& context_;
    LogReader reader_;
    ArchiveId archive_;
    std::shared_ptr<const std::vector<LogSliceId>> only_; // null: all count
};

// The archive of a source: the one that its newest snapshot names, else one that holds log of it. Throws
// Error(not_found) when there is none, or several and no snapshot.
WalArchive open_wal_archive(const Repository& repository, const std::string& source,
                            const CallOptions& call = {});

} // namespace holdfast::postgres
