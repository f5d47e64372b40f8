#include "postgres/recovery/replayed_tablespaces.h"

#include "base/error.h"
#include "documents/entry_name.h"

#include <algorithm>
#include <filesystem>
#include <map>

#include <fmt/format.h>

namespace holdfast::postgres {

namespace {

namespace fs = std::filesystem;

bool is_of(const TablespacePlace& place, Oid oid) { return place.tablespace == fmt::to_string(oid); }

const SnapshotTablespace* of_snapshot(const SnapshotCluster& cluster, Oid oid) {
    const auto found = std::ranges::find(cluster.tablespaces, oid, &SnapshotTablespace::oid);
    return found == cluster.tablespaces.end() ? nullptr : &*found;
}

// The first snapshot behind a position, for those who would rather begin there.
const Snapshot* snapshot_behind(const RecoverySource& source, Lsn position) {
    const Snapshot* first = nullptr;
    for (const Snapshot& snapshot : source.snapshots) {
        if (snapshot.log->range.begin > position.value &&
            (first == nullptr || snapshot.log->range.begin < first->log->range.begin))
            first = &snapshot;
    }
    return first;
}

class Placing {
  public:
    Placing(const SnapshotCluster& cluster, const ReplayedLog& log, const std::string& target,
            const std::vector<std::string>& places, const std::vector<TablespacePlace>& wanted,
            const RecoverySource& source, bool in_place)
        : cluster_(cluster),
          log_(log),
          target_(target),
          places_(places),
          wanted_(wanted),
          source_(source),
          in_place_(in_place) {
        for (std::size_t i = 0; i < places.size(); ++i)
            take(cluster.tablespaces[i].oid, cluster.tablespaces[i].path, places[i]);
    }

    ReplayedTablespaces place() {
        for (const MadeTablespace& made : log_.tablespaces) place(made);
        return std::move(result_);
    }

  private:
    void place(const MadeTablespace& made) {
        const std::string place = place_of(made);
        if (place.empty()) return;
        if (of_snapshot(cluster_, made.oid) == nullptr) {
            take(made.oid, made.path, place);
            require_usable(made, place);
            result_.made.push_back({made.oid, place});
        }
        if (place == made.path) return;
        const Bytes record = with_text(made.record, made.path_offset, place);
        if (record.empty()) {
            throw Error(
                ErrorCode::usage,
                fmt::format("the place {} of tablespace {} is longer than {}, and the log has no room "
                            "for it",
                            printable(place), made.oid, printable(made.path)),
                fmt::format("name a directory, or a link to one, of at most {} bytes", made.path.size()));
        }
        std::ranges::move(replace_record(made.at, made.record, record, log_.segment_bytes),
                          std::back_inserter(result_.replacements));
    }

    std::string place_of(const MadeTablespace& made) const {
        const auto named =
            std::ranges::find_if(wanted_, [&](const TablespacePlace& one) { return is_of(one, made.oid); });
        if (named != wanted_.end()) {
            if (made.path.empty()) {
                throw Error(ErrorCode::usage,
                            fmt::format("tablespace {} lies within the data directory", made.oid),
                            "leave out its place");
            }
            if (!named->path.starts_with('/')) {
                throw Error(ErrorCode::usage, fmt::format("the place '{}' of a tablespace is not absolute",
                                                          printable(named->path)));
            }
            std::string place = named->path;
            while (place.size() > 1 && place.ends_with('/')) place.pop_back();
            return place;
        }
        const SnapshotTablespace* known = of_snapshot(cluster_, made.oid);
        if (known == nullptr || made.path.empty()) return made.path;
        return places_[static_cast<std::size_t>(known - cluster_.tablespaces.data())];
    }

    // Two at one place would write into each other's files; one after the other, as in the original, is
    // right.
    void take(Oid oid, const std::string& original, const std::string& place) {
        const auto [taken, first] = taken_.try_emplace(place, oid, original);
        if (first || taken->second.first == oid || taken->second.second == original) return;
        throw Error(ErrorCode::usage, fmt::format("tablespaces {} and {} are both to be restored to {}",
                                                  taken->second.first, oid, printable(place)));
    }

    void require_usable(const MadeTablespace& made, const std::string& place) const {
        std::error_code error;
        if (!fs::exists(place, error) && !error) return;
        const bool empty = fs::is_directory(place, error) && fs::is_empty(place, error);
        if (!error && empty) return;
        const std::string link = fmt::format("{}/pg_tblspc/{}", target_, made.oid);
        if (in_place_ && fs::equivalent(link, place, error) && !error) return;
        std::string hint =
            fmt::format("name another place: --tablespace {}=DIRECTORY; or recover to before it: --lsn {} "
                        "--exclusive",
                        made.oid, made.at.str());
        if (const Snapshot* behind = snapshot_behind(source_, made.at))
            hint += fmt::format("; or from a snapshot that has it: --snapshot {}", behind->id.hex());
        throw Error(
            ErrorCode::usage,
            fmt::format("the log makes tablespace {} at {} in {}, which is in use: the recovery would "
                        "change what is there",
                        made.oid, made.at.str(), printable(place)),
            hint);
    }

    const SnapshotCluster& cluster_;
    const ReplayedLog& log_;
    const std::string& target_;
    const std::vector<std::string>& places_;
    const std::vector<TablespacePlace>& wanted_;
    const RecoverySource& source_;
    const bool in_place_;
    std::map<std::string, std::pair<Oid, std::string>> taken_; // place: whose, and where that was
    ReplayedTablespaces result_;
};

} // namespace

std::vector<TablespacePlace> take_places_of_replayed(const SnapshotCluster& cluster, const ReplayedLog& log,
                                                     std::vector<TablespacePlace>& wanted) {
    std::vector<TablespacePlace> taken;
    std::erase_if(wanted, [&](const TablespacePlace& place) {
        const bool is_made = std::ranges::any_of(log.tablespaces, [&](const MadeTablespace& made) {
            return is_of(place, made.oid) && of_snapshot(cluster, made.oid) == nullptr;
        });
        if (is_made) taken.push_back(place);
        return is_made;
    });
    return taken;
}

ReplayedTablespaces place_replayed_tablespaces(const SnapshotCluster& cluster, const ReplayedLog& log,
                                               const std::string& target,
                                               const std::vector<std::string>& places,
                                               const std::vector<TablespacePlace>& wanted,
                                               const RecoverySource& source, bool in_place) {
    return Placing(cluster, log, target, places, wanted, source, in_place).place();
}

} // namespace holdfast::postgres
