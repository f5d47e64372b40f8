#include "support/snapshot_files.h"

#include "base/error.h"
#include "postgres/capture/cluster_walk.h"
#include "postgres/files/exclusions.h"
#include "postgres/files/hint_bits.h"
#include "postgres/files/page.h"
#include "repository/content/stored_content.h"
#include "repository/node/directory_cursor.h"
#include "support/wal_directory.h"

#include <filesystem>
#include <map>
#include <set>

#include <fmt/format.h>

namespace holdfast::test {

namespace fs = std::filesystem;
using namespace postgres;

namespace {

constexpr std::size_t block_bytes = 8192;
constexpr std::size_t most_told = 20;

// A sequence's page has eight bytes of special space, with this in it (src/include/commands/sequence.h).
bool is_sequence(ByteView page) {
    const PageHeader header = read_page_header(page);
    std::uint32_t magic = 0;
    if (header.special != block_bytes - 8) return false;
    std::memcpy(&magic, page.data() + header.special, sizeof magic);
    return magic == 0x1717;
}

class Comparison {
  public:
    Comparison(Repository& repository, const std::string& data_directory, Lsn start, AtRest at_rest)
        : repository_(repository), data_(data_directory), start_(start), at_rest_(at_rest) {
        for (const TablespaceLocation& place : tablespaces_of(data_directory))
            tablespaces_[fmt::to_string(place.oid)] = place.path;
    }

    SnapshotFiles run(const Snapshot& snapshot) {
        DirectoryCursor top(repository_.nodes(), snapshot.root);
        while (const TreeEntry* entry = top.next()) {
            if (entry->name == "data") directory(entry->children, "", data_);
            if (entry->name != "tablespaces") continue;
            DirectoryCursor places(repository_.nodes(), entry->children);
            while (const TreeEntry* place = places.next()) {
                const auto found = tablespaces_.find(place->name);
                if (found != tablespaces_.end())
                    directory(place->children, "pg_tblspc/" + place->name, found->second);
            }
        }
        if (at_rest_ == AtRest::yes) look_for_missing();
        return std::move(result_);
    }

  private:
    static std::string joined(const std::string& directory, const std::string& name) {
        return directory.empty() ? name : directory + "/" + name;
    }

    void directory(const NodeRef& children, const std::string& path, const fs::path& place) {
        std::vector<std::string> names;
        if (fs::exists(place))
            for (const auto& file : fs::directory_iterator(place)) names.push_back(file.path().filename());
        const RelationExclusions relations(names);
        DirectoryCursor cursor(repository_.nodes(), children);
        while (const TreeEntry* entry = cursor.next()) {
            const std::string below = joined(path, entry->name);
            if (entry->type == EntryType::directory) {
                directory(entry->children, below, place / entry->name);
                continue;
            }
            if (entry->type != EntryType::file) continue;
            seen_.insert(below);
            const DataPath what = parse_data_path(below);
            if (what.kind == PathKind::relation && relations.is_unlogged(what.file.number) &&
                what.file.fork != Fork::init) {
                // Its init fork may have come only after the snapshot had listed the directory.
                if (at_rest_ == AtRest::yes) tell("{} is of an unlogged relation", below);
            } else if (is_compared(what)) {
                file(*entry, below, place / entry->name);
            }
        }
    }

    bool is_compared(const DataPath& what) const {
        if (what.kind == PathKind::relation)
            return at_rest_ == AtRest::yes || what.file.fork == Fork::main || what.file.fork == Fork::init;
        return at_rest_ == AtRest::yes &&
               (what.kind == PathKind::slru || what.kind == PathKind::filenode_map ||
                what.kind == PathKind::version_file);
    }

    void file(const TreeEntry& entry, const std::string& path, const fs::path& place) {
        Bytes now;
        try {
            now = read_whole_file(place);
        } catch (const std::exception&) {
            if (at_rest_ == AtRest::yes) tell("{} is no more", path);
            return; // dropped meanwhile
        }
        ++result_.files;
        StoredContent stored(repository_.nodes(), repository_.packs(), entry);
        Bytes then(entry.size);
        then.resize(stored.read(0, then));
        if (at_rest_ == AtRest::yes && then.size() != now.size())
            tell("{} has {} bytes, and in the snapshot {}", path, now.size(), then.size());
        const bool relation = parse_data_path(path).kind == PathKind::relation;
        const std::size_t common = std::min(then.size(), now.size());
        for (std::size_t at = 0; at + block_bytes <= common; at += block_bytes) {
            ++result_.pages;
            page(path, at / block_bytes, ByteView(then).subspan(at, block_bytes),
                 ByteView(now).subspan(at, block_bytes), relation);
        }
        // A part of a block is what a kill left, or one that was just being added while it was read.
        if (at_rest_ == AtRest::no && then.size() != now.size()) return;
        const std::size_t rest = common % block_bytes;
        if (!std::ranges::equal(ByteView(then).subspan(common - rest, rest),
                                ByteView(now).subspan(common - rest, rest)))
            tell("the end of {} differs", path);
    }

    void page(const std::string& path, std::size_t block, ByteView then, ByteView now, bool relation) {
        if (std::ranges::equal(then, now)) return;
        if (relation && read_page_header(now).lsn > start_) {
            ++result_.newer;
        } else if (relation && equal_but_hint_bits(then, now)) {
            ++result_.hinted;
        } else if (relation && at_rest_ == AtRest::no &&
                   (is_sequence(now) || may_have_changed_since(then, now, start_))) {
            ++result_.newer;
        } else {
            tell("{} block {}: log position {} in the snapshot, {} in the file; the snapshot began at {}",
                 path, block, read_page_header(then).lsn.str(), read_page_header(now).lsn.str(),
                 start_.str());
        }
    }

    // Relations that a snapshot must have and has not.
    void look_for_missing() {
        look_for_missing(data_ / "global", "global");
        for (const auto& database : fs::directory_iterator(data_ / "base"))
            look_for_missing(database, joined("base", database.path().filename()));
        for (const auto& [oid, place] : tablespaces_)
            for (const auto& version : fs::directory_iterator(place))
                for (const auto& database : fs::directory_iterator(version))
                    look_for_missing(database, fmt::format("pg_tblspc/{}/{}/{}", oid,
                                                           version.path().filename().string(),
                                                           database.path().filename().string()));
    }

    void look_for_missing(const fs::path& place, const std::string& path) {
        if (!parse_relation_directory(path)) return;
        std::vector<std::string> names;
        for (const auto& file : fs::directory_iterator(place)) names.push_back(file.path().filename());
        const RelationExclusions relations(names);
        for (const std::string& name : names) {
            const std::string file = joined(path, name);
            if (parse_data_path(file).kind != PathKind::relation || relations.skips(name)) continue;
            if (!seen_.contains(file)) tell("{} is not in the snapshot", file);
        }
    }

    template <typename... Values>
    void tell(fmt::format_string<Values...> text, Values&&... values) {
        if (++told_ <= most_told)
            result_.differences += fmt::format(text, std::forward<Values>(values)...) + "\n";
    }

    Repository& repository_;
    const fs::path data_;
    const Lsn start_;
    const AtRest at_rest_;
    std::map<std::string, std::string> tablespaces_;
    std::set<std::string> seen_;
    SnapshotFiles result_;
    std::size_t told_ = 0;
};

} // namespace

SnapshotFiles compare_with_files(Repository& repository, const Snapshot& snapshot,
                                 const std::string& data_directory, Lsn start, AtRest at_rest) {
    return Comparison(repository, data_directory, start, at_rest).run(snapshot);
}

} // namespace holdfast::test
