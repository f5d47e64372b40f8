#include "postgres/capture/cluster_walk.h"

#include "base/error.h"
#include "documents/directory_reader.h"
#include "documents/source_roots.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <climits>
#include <filesystem>

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

namespace holdfast::postgres {

namespace {

std::string joined(std::string_view directory, std::string_view name) {
    return directory.empty() ? std::string(name) : fmt::format("{}/{}", directory, name);
}

std::string read_link(const std::string& path) {
    std::array<char, PATH_MAX> target{};
    const ssize_t length = ::readlink(path.c_str(), target.data(), target.size());
    if (length < 0) {
        if (errno == EINVAL || errno == ENOENT) return {};
        throw system_error(errno, fmt::format("reading the link {}", path));
    }
    return {target.data(), static_cast<std::size_t>(length)};
}

// Those names in a directory that can be init forks; of the others there may be millions.
std::vector<std::string> init_forks(int directory_fd) {
    const int fd = ::openat(directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) throw system_error(errno, "opening a directory of relations");
    DIR* const listing = ::fdopendir(fd);
    if (listing == nullptr) {
        const int error = errno;
        ::close(fd);
        throw system_error(error, "listing a directory of relations");
    }
    std::vector<std::string> names;
    while (const dirent* entry = ::readdir(listing)) {
        const std::string_view name = entry->d_name;
        if (name.find("_init") != std::string_view::npos) names.emplace_back(name);
    }
    ::closedir(listing);
    return names;
}

class Walk final : public TreeVisitor {
  public:
    Walk(std::string top, Oid tablespace, const std::string& only, const Exclusions& exclusions,
         ClusterVisitor& visitor)
        : top_(std::move(top)),
          prefix_(tablespace == 0 ? std::string() : fmt::format("pg_tblspc/{}", tablespace)),
          only_(only),
          exclusions_(exclusions),
          required_(exclusions.required_directories()),
          visitor_(visitor) {}

    bool enter_directory(const WalkedEntry& entry) override {
        if (!is_inside(entry.path)) return true; // above the top
        found_ = true;
        const std::string path = cluster_path(entry.path);
        const bool top = levels_.empty();
        const Inclusion inclusion = top ? Inclusion::copy : inclusion_of(path, true);
        levels_.push_back({inclusion != Inclusion::skip, {}});
        if (inclusion == Inclusion::skip) return false;
        visitor_.enter_directory(entry, path);
        if (inclusion == Inclusion::empty) {
            add_required(path, entry);
            return false;
        }
        if (entry.self && parse_relation_directory(path))
            levels_.back().relations = std::make_unique<RelationExclusions>(init_forks(entry.self->get()));
        return true;
    }

    void leave_directory(std::string_view path) override {
        if (!is_inside(path)) return;
        if (levels_.back().shown) visitor_.leave_directory();
        levels_.pop_back();
    }

    void entry(const WalkedEntry& entry) override {
        if (!is_inside(entry.path)) return;
        if (levels_.empty()) return; // the top is no directory
        const std::string path = cluster_path(entry.path);
        if (entry.metadata.type == FileType::symlink) return link(entry, path);
        // Sockets of the server, and what else no server reads.
        if (entry.metadata.type != FileType::regular) return;
        if (inclusion_of(path, false) == Inclusion::skip) return;
        const auto& relations = levels_.back().relations;
        if (relations && relations->skips(entry.name)) return;
        visitor_.file(entry, path);
    }

    void vanished(std::string_view path) override {
        if (is_inside(path)) visitor_.vanished(cluster_path(path));
    }
    void error(std::string_view path, const Error& error) override {
        if (!is_inside(path)) throw Error(error);
        visitor_.error(cluster_path(path), error);
    }

    bool found() const { return found_; }

  private:
    struct Level {
        bool shown = false;
        std::unique_ptr<RelationExclusions> relations;
    };

    bool is_inside(std::string_view path) const {
        return path.starts_with(top_) && (path.size() == top_.size() || path[top_.size()] == '/');
    }
    std::string cluster_path(std::string_view path) const {
        path.remove_prefix(std::min(path.size(), top_.size() + 1));
        return path.empty() ? prefix_ : joined(prefix_, path);
    }
    Inclusion inclusion_of(const std::string& path, bool directory) const {
        const bool in_top = levels_.size() == 1 && !prefix_.empty();
        if (in_top && path != joined(prefix_, only_)) return Inclusion::skip;
        return exclusions_.of(path, directory);
    }
    void add_required(const std::string& path, const WalkedEntry& like) {
        for (const std::string& required : required_) {
            if (!required.starts_with(path + "/")) continue;
            const std::string name = required.substr(path.size() + 1);
            if (name.find('/') == std::string::npos) visitor_.empty_directory(name, like);
        }
    }
    void link(const WalkedEntry& entry, const std::string& path) {
        // Tablespaces are walked on their own, and the links to them made by who restores.
        if (parse_data_path(path).kind == PathKind::tablespace_link) return;
        const Inclusion inclusion = exclusions_.of(path, true);
        if (inclusion == Inclusion::skip) return;
        FileMetadata directory;
        const bool leads_to_directory =
            stat_entry(entry.directory->get(), entry.name, directory, FollowLinks::yes).has_value() &&
            directory.is_directory();
        if (inclusion != Inclusion::empty || !leads_to_directory) return visitor_.link(entry, path);
        const SharedDirectory none;
        const WalkedEntry followed{entry.path,      entry.name, directory,
                                   entry.directory, none,       FollowLinks::yes};
        visitor_.enter_directory(followed, path);
        add_required(path, followed);
        visitor_.leave_directory();
    }

    const std::string top_; // as the walk names it, without a slash in front
    const std::string prefix_;
    const std::string only_;
    const Exclusions& exclusions_;
    const std::vector<std::string> required_;
    ClusterVisitor& visitor_;
    std::vector<Level> levels_;
    bool found_ = false;
};

} // namespace

void walk_cluster(const std::string& directory, Oid tablespace, const std::string& only,
                  const Exclusions& exclusions, ClusterVisitor& visitor, std::stop_token stop) {
    const std::vector<std::string> paths{directory + "/"};
    Walk walk(root_paths(merge_roots(paths)).front().substr(1), tablespace, only, exclusions, visitor);
    walk_trees(paths, PathFilter(), WalkOptions(), walk, std::move(stop));
    if (!walk.found()) throw Error(ErrorCode::not_found, fmt::format("there is no directory {}", directory));
}

std::vector<TablespaceLocation> tablespaces_of(const std::string& data_directory) {
    std::vector<TablespaceLocation> found;
    const std::string links = data_directory + "/pg_tblspc";
    std::error_code error;
    for (auto entry = std::filesystem::directory_iterator(links, error);
         !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
        const std::string name = entry->path().filename().string();
        const DataPath path = parse_data_path("pg_tblspc/" + name);
        if (path.kind != PathKind::tablespace_link) continue;
        const std::string target = read_link(entry->path().string());
        if (!target.empty()) found.push_back({path.tablespace, target});
    }
    if (error) throw system_error(error.value(), fmt::format("listing {}", links));
    std::ranges::sort(found, {}, [](const TablespaceLocation& place) { return fmt::to_string(place.oid); });
    return found;
}

std::string wal_link_of(const std::string& data_directory) { return read_link(data_directory + "/pg_wal"); }

} // namespace holdfast::postgres
