// Slices of logs that no snapshot needs (docs/format.md, section 11).

#include "base/error.h"
#include "repository/log/log_reader.h"
#include "repository/protocol/collection.h"

#include <fmt/format.h>

namespace holdfast {

namespace {

struct ListedSlice {
    LogSliceId id;
    std::uint64_t size_bytes = 0;
};

// Those of an archive of which a longer slice of the same run has all; names come by begin, then end.
class Covered {
  public:
    // The slice that covers this one, if an earlier one does. One that begins at the same place and is longer
    // comes later: it is found by asking backwards.
    const LogSliceId* covering(const LogSliceId& slice) {
        const auto longest = longest_.find(slice.run);
        if (longest != longest_.end() && longest->second.range.branch == slice.range.branch &&
            longest->second.range.end >= slice.range.end && longest->second.range != slice.range) {
            return &longest->second;
        }
        if (longest == longest_.end() || longest->second.range.branch != slice.range.branch ||
            slice.range.end > longest->second.range.end) {
            longest_[slice.run] = slice;
        }
        return nullptr;
    }

  private:
    std::map<RunId, LogSliceId> longest_;
};

// By branch, then begin; of those that begin at the same place the longest first.
bool longest_first(const ListedSlice& a, const ListedSlice& b) {
    const LogRange &left = a.id.range, &right = b.id.range;
    return std::tie(left.branch, left.begin, right.end) < std::tie(right.branch, right.begin, left.end);
}

std::map<ArchiveId, std::vector<ListedSlice>> list_logs(Store& store) {
    std::map<ArchiveId, std::vector<ListedSlice>> archives;
    store.list(std::string(logs_prefix), "",
               [&](const ObjectInfo& object) {
                   const auto slice = LogSliceId::from_name(object.name);
                   if (slice && slice->range.begin < slice->range.end)
                       archives[slice->archive].push_back({*slice, object.size_bytes});
                   return true;
               },
               {});
    return archives;
}

} // namespace

void Collection::drop_logs() {
    if (log_begins_.empty()) return;
    progress_.set_phase("deleting old logs");
    const LogReader reader(context_);
    // Whoever can write to the store can give a slice any name: only what its run encrypted under that name
    // covers anything.
    std::map<LogSliceId, bool> proven;
    const auto is_proven = [&](const LogSliceId& slice) {
        const auto [known, first] = proven.emplace(slice, false);
        if (!first) return known->second;
        try {
            const SliceInfo info = reader.info(slice);
            known->second = true;
        } catch (const Error& error) {
            if (error.code() == ErrorCode::cancelled || error.retryable()) throw;
            report_.problems.push_back(error.message());
        }
        return known->second;
    };
    for (auto& [archive, slices] : list_logs(context_.store)) {
        const auto begin = log_begins_.find(archive);
        if (begin == log_begins_.end()) continue;
        std::ranges::sort(slices, longest_first);
        Covered covered;
        std::vector<std::string> names;
        std::map<std::string, std::uint64_t> sizes;
        const auto drop = [&](const ListedSlice& slice) {
            names.push_back(slice.id.name());
            sizes[names.back()] = slice.size_bytes;
        };
        for (const ListedSlice& slice : slices) {
            if (slice.id.range.end <= begin->second) {
                drop(slice);
            } else if (const LogSliceId* longer = covered.covering(slice.id); longer && is_proven(*longer)) {
                drop(slice);
            }
        }
        for (const std::string& removed : remove_lockable(names)) {
            ++report_.deleted_log_slices;
            report_.deleted_log_bytes += sizes[removed];
        }
    }
}

} // namespace holdfast
