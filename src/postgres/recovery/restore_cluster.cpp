#include "postgres/recovery/restore_cluster.h"

#include "base/error.h"
#include "base/file_descriptor.h"
#include "documents/entry_name.h"
#include "documents/owner_names.h"
#include "documents/remove_tree.h"
#include "postgres/archive/slice_list.h"
#include "postgres/files/exclusions.h"
#include "postgres/recovery/cluster_manifest.h"
#include "postgres/wal/wal_reader.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace holdfast::postgres {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view configuration_name = "postgresql.auto.conf";
constexpr std::string_view put_aside_name = "pg_wal.not-archived";
constexpr std::string_view log_changes_name = "holdfast-log-changes";
constexpr std::string_view log_slices_name = "holdfast-log-slices";
constexpr std::size_t largest_configuration_bytes = 16u << 20;
constexpr mode_t directory_mode = 0700;
constexpr unsigned file_mode = 0600;

const std::vector<std::pair<std::string, std::string>> harmless{{"archive_mode", "off"},
                                                                {"synchronous_standby_names", ""}};

void add(TreeRestoreResult& sum, TreeRestoreResult part) {
    sum.files += part.files;
    sum.directories += part.directories;
    sum.others += part.others;
    sum.bytes += part.bytes;
    sum.written_bytes += part.written_bytes;
    sum.same_files += part.same_files;
    sum.deleted += part.deleted;
    sum.skipped += part.skipped;
    sum.failed += part.failed;
    sum.owner_failures += part.owner_failures;
    std::ranges::move(part.problems, std::back_inserter(sum.problems));
}

class ClusterRestorer {
  public:
    ClusterRestorer(const SnapshotCluster& cluster, const Snapshot& snapshot,
                    const RestoreClusterSettings& settings, const RestoreTools& tools, std::stop_token stop)
        : cluster_(cluster),
          snapshot_(snapshot),
          settings_(settings),
          tools_(tools),
          stop_(std::move(stop)),
          target_(settings.target),
          as_root_(::geteuid() == 0) {
        OwnerNames names;
        user_ = names.user_id(cluster.data.user).value_or(cluster.data.uid);
        group_ = names.group_id(cluster.data.group).value_or(cluster.data.gid);
    }

    RestoredCluster restore() {
        const std::vector<std::string> places = tablespace_places(cluster_, settings_.tablespaces);
        check_restore_target(cluster_, target_, places, settings_.in_place, settings_.databases.everything());
        // Refused before anything is written.
        const std::string lines = recovery_lines(with_harmless(settings_.recovery));
        const bool fresh = !fs::exists(target_) || fs::is_empty(target_);
        if (!fresh) clear_the_way();
        for (const ReplayedTablespace& made : settings_.replayed.made) make_place(made, !fresh);
        restore_part(cluster_.data.children, target_, everything_but_ours(fresh), "");
        leave_out_states();
        make_directories();
        // Before there is anything in the places: who goes on with a restore that was broken off knows by the
        // links whose they are.
        make_links(places);
        for (std::size_t i = 0; i < places.size(); ++i) restore_tablespace(i, places[i]);
        make_holes(places);
        if (result_.files.failed > 0) fail();
        put_file("backup_label", cluster_.label_text);
        if (!settings_.replayed.replacements.empty())
            put_file(log_changes_name, write_replacements(settings_.replayed.replacements));
        if (!settings_.log_slices.empty()) put_file(log_slices_name, write_slice_list(settings_.log_slices));
        put_settings(lines);
        restore_part(cluster_.data.children, target_, the_control_file(), "");
        if (result_.files.failed > 0) fail();
        own(target_, directory_mode);
        if (has_manifest()) put_manifest();
        if (settings_.sync) sync(places);
        return finish();
    }

  private:
    // --- Before -------------------------------------------------------------------------------------------

    static RecoverySettings with_harmless(RecoverySettings recovery) {
        recovery.more.insert(recovery.more.begin(), harmless.begin(), harmless.end());
        return recovery;
    }

    // In place: what would make a server start over a half of it, or is not the snapshot's.
    void clear_the_way() {
        const FileDescriptor directory = open_file(target_, O_RDONLY | O_DIRECTORY);
        ::unlinkat(directory.get(), std::string(control_file_path).c_str(), 0);
        clear_wal();
        std::set<std::string> ours{"pg_wal", std::string(put_aside_name)};
        DirectoryCursor cursor(tools_.nodes, cluster_.data.children);
        while (const TreeEntry* entry = cursor.next()) ours.insert(entry->name);
        std::vector<std::string> extra;
        for (const fs::directory_entry& entry : fs::directory_iterator(target_)) {
            std::string name = entry.path().filename().string();
            if (!ours.contains(name)) extra.push_back(std::move(name));
        }
        for (const std::string& name : extra) remove_tree(directory.get(), name);
        result_.files.deleted += extra.size();
    }

    // Replay takes what it finds there for the tablespace's own.
    void make_place(const ReplayedTablespace& made, bool in_place) const {
        const std::string link = fmt::format("{}/pg_tblspc/{}", target_, made.oid);
        std::error_code error;
        if (in_place && fs::equivalent(link, made.place, error) && !error) {
            const FileDescriptor directory = open_file(made.place, O_RDONLY | O_DIRECTORY);
            std::vector<std::string> names;
            for (const fs::directory_entry& entry : fs::directory_iterator(made.place))
                names.push_back(entry.path().filename().string());
            for (const std::string& name : names) remove_tree(directory.get(), name);
        }
        fs::create_directories(made.place);
        if (!fs::is_empty(made.place)) {
            throw Error(
                ErrorCode::usage,
                fmt::format("{}, the place of tablespace {}, is not empty any more", made.place, made.oid),
                "name another place for it with --tablespace");
        }
        own(made.place, directory_mode);
    }

    // pg_wal may be a link to another disk, which stays.
    void clear_wal() {
        const std::string wal = target_ + "/pg_wal";
        if (!fs::is_directory(wal)) return;
        std::vector<std::string> names;
        for (const fs::directory_entry& entry : fs::directory_iterator(wal))
            names.push_back(entry.path().filename().string());
        const FileDescriptor directory = open_file(wal, O_RDONLY | O_DIRECTORY);
        for (const std::string& name : names) {
            if (!put_aside(wal, name)) remove_tree(directory.get(), name);
        }
    }

    // Log that was never archived may be all that is left of the last transactions.
    bool put_aside(const std::string& wal, const std::string& name) {
        if (!settings_.is_archived || name.size() != 24) return false;
        const std::string path = fmt::format("{}/{}", wal, name);
        Bytes head(8192);
        const FileDescriptor file = open_file(path, O_RDONLY | O_NOFOLLOW);
        head.resize(read_at(file.get(), 0, head, path));
        const auto header = read_segment_header(head);
        // Of a file that waits to be used again, the header is that of its last use.
        if (!header || header->system_identifier != cluster_.control.system_identifier) return false;
        const auto named = parse_segment_name(name, header->segment_bytes);
        if (!named || named->begin != header->begin ||
            settings_.is_archived({named->timeline, named->begin, named->begin + header->segment_bytes}))
            return false;
        result_.put_aside_directory = fmt::format("{}/{}", target_, put_aside_name);
        make_directory(result_.put_aside_directory);
        const std::string to = fmt::format("{}/{}", result_.put_aside_directory, name);
        std::error_code error;
        fs::rename(path, to, error);
        if (error) { // another file system
            fs::copy_file(path, to, fs::copy_options::overwrite_existing);
            own(to, file_mode);
        }
        result_.put_aside.push_back(name);
        return !error;
    }

    // --- Files --------------------------------------------------------------------------------------------

    TreeRestoreSettings tree_settings() const {
        TreeRestoreSettings settings;
        settings.metadata.owner = as_root_;
        settings.content = settings_.content;
        return settings;
    }
    TreeRestoreSettings everything_but_ours(bool fresh) const {
        TreeRestoreSettings settings = tree_settings();
        settings.in_place = settings.delete_extra = !fresh;
        settings.filter.exclude(fmt::format("/{}", control_file_path));
        settings.filter.exclude("/pg_wal");
        for (const SnapshotTablespace& tablespace : cluster_.tablespaces)
            settings.filter.exclude(fmt::format("/pg_tblspc/{}", tablespace.oid));
        for (const std::string& pattern : data_patterns(settings_.databases))
            settings.filter.exclude(pattern);
        return settings;
    }
    TreeRestoreSettings the_control_file() const {
        TreeRestoreSettings settings = tree_settings();
        settings.in_place = true;
        settings.paths = {std::string(control_file_path)};
        return settings;
    }

    // `path` is where the server finds it, with a slash behind it, from the data directory.
    void restore_part(const NodeRef& tree, const std::string& to, TreeRestoreSettings settings,
                      const std::string& path) {
        if (has_manifest()) {
            settings.sum = [&](std::string_view below, std::uint64_t size_bytes, std::uint32_t crc32c) {
                sums_.add(fmt::format("{}{}", path, below), size_bytes, crc32c);
            };
        }
        add(result_.files, restore_tree(tree, to, settings, tools_, stop_));
    }

    void restore_tablespace(std::size_t i, const std::string& place) {
        TreeRestoreSettings settings = tree_settings();
        settings.in_place = settings.delete_extra = fs::exists(place) && !fs::is_empty(place);
        for (const std::string& pattern : tablespace_patterns(settings_.databases, folder()))
            settings.filter.exclude(pattern);
        restore_part(cluster_.tablespaces[i].tree, place, settings,
                     fmt::format("pg_tblspc/{}/", cluster_.tablespaces[i].oid));
        own(place, directory_mode);
    }

    std::string folder() const {
        return tablespace_directory(cluster_.version, cluster_.control.catalog_version);
    }

    void leave_out_states() {
        for (const std::string& name : settings_.left_out_states)
            fs::remove(fmt::format("{}/pg_twophase/{}", target_, name));
    }

    // Of their lengths and without blocks on disk.
    void make_holes(const std::vector<std::string>& places) {
        for (const HoleDirectory& directory : hole_directories(tools_.nodes, cluster_, settings_.databases)) {
            std::string above = target_;
            for (std::size_t i = 0; i < places.size(); ++i)
                if (cluster_.tablespaces[i].oid == directory.tablespace) above = places[i];
            for_each_hole(tools_.nodes, directory, [&](const std::string& name, std::uint64_t bytes) {
                const std::string path = fmt::format("{}/{}/{}", above, directory.path, name);
                const FileDescriptor file =
                    open_file(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, file_mode);
                if (::ftruncate(file.get(), static_cast<off_t>(bytes)) != 0) throw system_error(errno, path);
                own(path, file_mode);
                ++result_.holes.files;
                result_.holes.bytes += bytes;
            });
        }
    }

    [[noreturn]] void fail() const {
        const std::string first = result_.files.problems.empty()
                                      ? ""
                                      : fmt::format("; the first: {}: {}", result_.files.problems[0].path,
                                                    result_.files.problems[0].what);
        throw Error(
            ErrorCode::corrupt,
            fmt::format("{} files of snapshot {} could not be restored{}", result_.files.failed,
                        snapshot_.id.hex(), first),
            fmt::format("without them the cluster is not whole; {} has no control file, so that no server "
                        "starts over it; look at the repository with 'holdfast verify', or restore an "
                        "earlier snapshot",
                        target_));
    }

    // --- What is not in the tree --------------------------------------------------------------------------

    void own(const std::string& path, mode_t mode) const {
        if (as_root_ && ::lchown(path.c_str(), user_, group_) != 0)
            throw system_error(errno, fmt::format("giving {} to its owner", path));
        if (mode != 0 && ::chmod(path.c_str(), mode) != 0) throw system_error(errno, path);
    }

    void make_directory(const std::string& path) const {
        if (::mkdir(path.c_str(), directory_mode) != 0) {
            if (errno == EEXIST && fs::is_directory(path)) return; // or a link to one
            throw system_error(errno, fmt::format("making {}", path));
        }
        own(path, directory_mode);
    }

    void make_directories() const {
        for (const std::string& name : Exclusions(cluster_.version).required_directories())
            make_directory(fmt::format("{}/{}", target_, name));
    }

    void make_links(const std::vector<std::string>& places) {
        for (std::size_t i = 0; i < places.size(); ++i) {
            const Oid oid = cluster_.tablespaces[i].oid;
            const std::string link = fmt::format("{}/pg_tblspc/{}", target_, oid);
            ::unlink(link.c_str());
            if (::symlink(places[i].c_str(), link.c_str()) != 0)
                throw system_error(errno, fmt::format("making {}", link));
            own(link, 0);
            result_.tablespaces.push_back({oid, places[i]});
        }
        // From it the recovering server makes the links anew.
        if (!places.empty())
            put_file("tablespace_map", write_tablespace_map(result_.tablespaces, cluster_.version));
    }

    void put_file(std::string_view name, std::string_view content) {
        sums_.forget(name);
        const std::string path = fmt::format("{}/{}", target_, name);
        const FileDescriptor file = open_file(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, file_mode);
        write_all(file.get(), as_bytes(content), path);
        own(path, file_mode);
    }

    void put_settings(const std::string& lines) {
        const std::string path = fmt::format("{}/{}", target_, configuration_name);
        const Bytes before = fs::exists(path) ? read_file(path, largest_configuration_bytes) : Bytes();
        put_file(configuration_name, with_recovery_lines(as_text(before), lines));
        put_file(signal_file(settings_.recovery), "");
    }

    bool has_manifest() const { return settings_.manifest && settings_.databases.everything(); }

    void put_manifest() {
        tools_.progress.set_phase("writing the manifest");
        ClusterManifestRequest request;
        request.data_directory = target_;
        request.tablespace_folder = folder();
        request.version = cluster_.version;
        request.system_identifier = cluster_.control.system_identifier;
        request.wal = {cluster_.label.timeline, cluster_.label.start, Lsn{snapshot_.log->range.end}};
        request.workers = settings_.content.workers;
        request.sums = &sums_;
        result_.manifest_files = write_cluster_manifest(request, stop_);
        own(target_ + "/backup_manifest", file_mode);
    }

    void sync(std::vector<std::string> places) const {
        tools_.progress.set_phase("syncing");
        places.push_back(target_);
        places.push_back(target_ + "/pg_wal");
        std::set<dev_t> done;
        for (const std::string& place : places) {
            const FileDescriptor directory = open_file(place, O_RDONLY | O_DIRECTORY);
            struct stat status{};
            if (::fstat(directory.get(), &status) != 0) throw system_error(errno, place);
            if (done.insert(status.st_dev).second && ::syncfs(directory.get()) != 0)
                throw system_error(errno, fmt::format("syncing {}", place));
        }
    }

    RestoredCluster finish() {
        result_.data_directory = target_;
        result_.version = cluster_.version;
        result_.system_identifier = cluster_.control.system_identifier;
        return std::move(result_);
    }

    const SnapshotCluster& cluster_;
    const Snapshot& snapshot_;
    const RestoreClusterSettings& settings_;
    const RestoreTools& tools_;
    const std::stop_token stop_;
    const std::string target_;
    const bool as_root_;
    uid_t user_ = 0;
    gid_t group_ = 0;
    RestoredSums sums_;
    RestoredCluster result_;
};

// For /bin/sh, and for PostgreSQL, which takes a percent sign and the letter behind it as a placeholder.
std::string quote_for_shell(std::string_view word) {
    std::string quoted = "'";
    for (const char c : word) {
        if (c == '\'') {
            quoted += "'\\''";
        } else if (c == '%') {
            quoted += "%%";
        } else {
            quoted += c;
        }
    }
    return quoted + '\'';
}

} // namespace

RestoredCluster restore_cluster(const SnapshotCluster& cluster, const Snapshot& snapshot,
                                const RestoreClusterSettings& settings, const RestoreTools& tools,
                                std::stop_token stop) {
    if (!settings.target.starts_with('/')) {
        throw Error(ErrorCode::usage,
                    fmt::format("the target '{}' is not absolute", printable(settings.target)));
    }
    try {
        return ClusterRestorer(cluster, snapshot, settings, tools, std::move(stop)).restore();
    } catch (const fs::filesystem_error& error) {
        throw system_error(error.code().value(), error.path1().string());
    }
}

std::string log_changes_path(const std::string& data_directory) {
    return fmt::format("{}/{}", data_directory, log_changes_name);
}

std::string log_slices_path(const std::string& data_directory) {
    return fmt::format("{}/{}", data_directory, log_slices_name);
}

std::string lasting_lines() {
    std::string lines;
    for (const auto& [name, value] : harmless) lines += fmt::format("{} = {}\n", name, quote_setting(value));
    return lines;
}

std::string restore_command_of(const std::vector<std::string>& program) {
    std::string command;
    for (const std::string& word : program) command += quote_for_shell(word) + ' ';
    return command + "%f \"%p\"";
}

} // namespace holdfast::postgres
