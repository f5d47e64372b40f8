// Slices of logs that no snapshot needs (docs/format.md, section 11).

#include "base/error.h"
#include "repository/log/log_reader.h"
#include "repository/protocol/collection.h"

#include <algorithm>
#include <functional>
#include <iterator>
#include <utility>

#include <fmt/format.h>

namespace holdfast {

namespace {

// Deleted by so many at once, however many there are.
constexpr std::size_t slices_at_once = 1000;

// Which slices of an archive a longer one of the same run has whole. They are to be asked for in the order in
// which they begin on each branch, and of those that begin together the longest first: then one that covers
// another comes before it.
class Covered {
  public:
    const LogSliceId* covering(const LogSliceId& slice) {
        const auto [known, first] = longest_.emplace(slice.run, slice);
        if (first) return nullptr;
        LogSliceId& longest = known->second;
        if (longest.archive == slice.archive && longest.range.branch == slice.range.branch &&
            longest.range.end >= slice.range.end) {
            return longest.range != slice.range ? &longest : nullptr;
        }
        longest = slice;
        return nullptr;
    }

  private:
    std::map<RunId, LogSliceId> longest_;
};

// What is to go of the slices given one by one, as they are listed: by archive, branch and begin.
class Sieve {
  public:
    using Drop = std::function<void(const ListedSlice&)>;
    using Proven = std::function<bool(const LogSliceId&)>;
    Sieve(Proven proven, Drop drop) : proven_(std::move(proven)), drop_(std::move(drop)) {}

    void add(const ListedSlice& slice) {
        if (!together_.empty() && !begins_with(together_.front().id, slice.id)) pass_on();
        together_.push_back(slice);
    }
    void pass_on() {
        std::ranges::sort(together_, std::greater{},
                          [](const ListedSlice& slice) { return slice.id.range.end; });
        for (const ListedSlice& slice : together_) {
            const LogSliceId* longer = covered_.covering(slice.id);
            if (longer != nullptr && proven_(*longer)) drop_(slice);
        }
        together_.clear();
    }

  private:
    static bool begins_with(const LogSliceId& a, const LogSliceId& b) {
        return a.archive == b.archive && a.range.branch == b.range.branch && a.range.begin == b.range.begin;
    }

    Proven proven_;
    Drop drop_;
    std::vector<ListedSlice> together_; // that begin at one place
    Covered covered_;
};

} // namespace

bool Collection::is_to_drop(const ArchiveId& archive) const {
    return settings_.drop_logs.contains(archive) && !needed_logs_.contains(archive);
}

// Only of logs that snapshots name, and only what lies behind the first of them: what lies before goes
// anyway.
void Collection::release_logs() {
    for (const auto& [log, position] : settings_.released_logs) {
        const auto begin = log_begins_.find(log.archive);
        if (begin != log_begins_.end() && position > begin->second)
            condemned_.released.emplace(log, position);
    }
}

// On any branch, by snapshots and by slices whose writers count. `floor` if it is not above that by the
// first.
std::uint64_t Collection::at_most_end_of_log(const ArchiveId& archive, std::uint64_t floor) {
    const auto own = own_logs_.find(archive);
    const std::uint64_t known = own == own_logs_.end() ? 0 : own->second.rbegin()->second;
    if (floor <= known) return floor;
    std::vector<LogSliceId> behind = list_slices(context_.store, archive, known);
    std::ranges::sort(behind, std::greater{}, [](const LogSliceId& slice) { return slice.range.end; });
    const LogReader reader(context_);
    for (const LogSliceId& slice : behind) {
        if (slice.range.end <= known) break;
        if (reader.counts(slice)) return std::min(floor, slice.range.end);
    }
    return known;
}

// No backup begins below a floor. One that a stolen key has set above all log would end all backups for good,
// since it is united into every later verdict.
LogFloors Collection::believable_floors(LogFloors floors) {
    for (auto& [log, position] : floors) position = at_most_end_of_log(log.archive, position);
    std::erase_if(floors, [](const auto& floor) { return floor.second == 0; });
    return floors;
}

// A snapshot may find the bytes of its own log on other branches, too: they share the segment in which one
// leaves the other.
bool Collection::is_needed(const LogSliceId& slice) const {
    const LogRange& range = slice.range;
    const auto begin = log_begins_.find(slice.archive);
    if (range.begin == range.end || begin == log_begins_.end()) return true;
    if (range.end <= begin->second) return false;
    const auto floor = condemned_.released.find({slice.archive, range.branch});
    if (floor == condemned_.released.end() || range.end > floor->second) return true;
    const auto& own = own_logs_.at(slice.archive);
    const auto behind = own.lower_bound(range.end);
    return behind != own.begin() && std::prev(behind)->second > range.begin;
}

void Collection::drop_logs() {
    progress_.set_phase("deleting old logs");
    const LogReader reader(context_);
    // Whoever can write to the store can give a slice any name: only what its run encrypted under that name
    // covers anything.
    std::pair<LogSliceId, bool> last_proven;
    const auto is_proven = [&](const LogSliceId& slice) {
        if (last_proven.first == slice) return last_proven.second;
        last_proven = {slice, false};
        try {
            reader.info(slice);
            last_proven.second = true;
        } catch (const Error& error) {
            if (error.code() == ErrorCode::cancelled || error.retryable()) throw;
            report_.problems.push_back(error.message());
        }
        return last_proven.second;
    };
    std::vector<ListedSlice> unneeded;
    Sieve sieve(is_proven, [&](const ListedSlice& slice) { unneeded.push_back(slice); });
    std::optional<ArchiveId> archive;
    bool drop_all = false;
    context_.store.list(std::string(logs_prefix), "",
                        [&](const ObjectInfo& object) {
                            const auto id = LogSliceId::from_name(object.name);
                            if (!id) return true;
                            const ListedSlice slice{*id, object.size_bytes};
                            if (archive != id->archive) {
                                archive = id->archive;
                                drop_all = is_to_drop(*archive);
                            }
                            const bool named = needed_logs_.contains(id->archive);
                            if (drop_all || (!named && !context_.steps.leave_unnamed_logs)) {
                                unneeded.push_back(slice);
                            } else if (!named) {
                                report_.logs_without_snapshot[id->archive] += slice.size_bytes;
                            } else if (!is_needed(*id)) {
                                unneeded.push_back(slice);
                            } else if (id->range.begin < id->range.end && log_begins_.contains(id->archive)) {
                                sieve.add(slice);
                            }
                            if (unneeded.size() >= slices_at_once) drop_slices(std::exchange(unneeded, {}));
                            return true;
                        },
                        {});
    sieve.pass_on();
    drop_slices(std::move(unneeded));
}

void Collection::drop_slices(std::vector<ListedSlice> slices) {
    std::vector<std::string> names;
    std::map<std::string, std::uint64_t> sizes;
    for (const ListedSlice& slice : slices) {
        names.push_back(slice.id.name());
        sizes[names.back()] = slice.size_bytes;
    }
    std::set<std::string> gone;
    if (settings_.dry_run) {
        const std::set<std::string> locked = locked_of(names);
        std::ranges::copy_if(names, std::inserter(gone, gone.end()),
                             [&](const std::string& name) { return !locked.contains(name); });
    } else {
        gone = remove_lockable(names);
    }
    for (const std::string& removed : gone) {
        ++report_.deleted_log_slices;
        report_.deleted_log_bytes += sizes[removed];
    }
}

} // namespace holdfast
