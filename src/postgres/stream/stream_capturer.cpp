#include "postgres/stream/stream_capturer.h"

#include "base/error.h"
#include "documents/backup/previous_directory.h"
#include "postgres/capture/memory_source.h"
#include "postgres/stream/label_files.h"
#include "repository/node/file_map_node.h"

#include <algorithm>

#include <fmt/format.h>

namespace holdfast::postgres {

namespace {

constexpr std::uint64_t largest_label_bytes = std::uint64_t{64} << 20;
constexpr std::uint64_t largest_control_bytes = std::uint64_t{1} << 20;
constexpr std::string_view shared_directory = "data/global"; // it has the control file, which comes last
constexpr std::string_view tablespaces_directory = "tablespaces";
constexpr std::string_view links_directory = "data/pg_tblspc";

template <class... Types>
struct Overloaded : Types... {
    using Types::operator()...;
};

[[noreturn]] void unknown(const std::string& what) {
    throw Error(ErrorCode::incompatible, "the server sends a base backup of an unknown shape: " + what);
}

bool is_directory(const TreeEntry& entry) { return entry.type == EntryType::directory; }

TreeEntry directory_named(std::string name) {
    TreeEntry entry;
    entry.name = std::move(name);
    entry.type = EntryType::directory;
    entry.mode = 0700;
    entry.links = 1;
    return entry;
}

// Of times only that of the last change is sent.
void set_metadata(TreeEntry& entry, const TarEntry& sent) {
    entry.uid = sent.uid;
    entry.gid = sent.gid;
    entry.user = sent.user;
    entry.group = sent.group;
    entry.mtime = entry.ctime = {sent.modified, 0};
}

TreeEntry describe(const TarEntry& sent) {
    TreeEntry entry = directory_named(sent.path.substr(sent.path.rfind('/') + 1));
    entry.type = sent.kind == TarEntry::Kind::file        ? EntryType::file
                 : sent.kind == TarEntry::Kind::directory ? EntryType::directory
                                                          : EntryType::symlink;
    entry.mode = static_cast<std::uint16_t>(sent.mode);
    entry.size = sent.size;
    entry.target = sent.link_target;
    set_metadata(entry, sent);
    return entry;
}

std::string directory_of(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    return slash == std::string::npos ? "" : path.substr(0, slash);
}

bool lies_in_place(const BackupArchive& archive) { return !archive.location.starts_with('/'); }

Bytes read_whole(StreamedFile& file, const std::string& path, std::uint64_t most) {
    if (file.size_bytes() > most) unknown(fmt::format("{} has {} bytes", path, file.size_bytes()));
    Bytes bytes(file.size_bytes());
    file.read(0, bytes);
    file.finish();
    return bytes;
}

} // namespace

StreamCapturer::StreamCapturer(BackupRun& run, ClusterStream& stream, const StreamCaptureRequest& request)
    : run_(run),
      stream_(stream),
      request_(request),
      earlier_(earlier_roots(run)),
      tree_(run.writer(), UnorderedTree::held_bytes_default, request.spill_directory) {
    tree_.enter(directory_named(""));
}

StreamCapture StreamCapturer::capture() {
    while (const std::optional<StreamPiece> piece = stream_.next()) {
        std::visit(Overloaded{[&](const BackupArchive& archive) { begin_archive(archive); },
                              [&](const StreamedEntry& entry) { take(entry); },
                              [&](const StreamedArchiveEnd&) { end_archive(); },
                              [&](const auto&) {
                                  throw Error(ErrorCode::internal, "the pieces of a stream are out of order");
                              }},
                   *piece);
        if (tree_.depth() > 1 && run_.checkpoint_due()) run_.save_checkpoint(*root_so_far());
    }
    result_.end = stream_.finish();
    ClusterCapture& cluster = result_.cluster;
    if (cluster.data.name.empty() || result_.label_text.empty()) unknown("it has no data directory or label");
    cluster.pages = stream_.take_findings();
    cluster.bytes_from_disk = stream_.received_bytes();
    cluster.totals.new_bytes = run_.writer().totals().new_bytes;
    return std::move(result_);
}

std::optional<NodeRef> StreamCapturer::root_so_far() const {
    if (tree_.depth() < 2) return std::nullopt;
    return tree_.so_far(unfinished_ ? &*unfinished_ : nullptr)->children;
}

// --- Directories ------------------------------------------------------------------------------------------

void StreamCapturer::enter(TreeEntry directory, std::string path) {
    tree_.enter(std::move(directory));
    paths_.push_back(std::move(path));
}

void StreamCapturer::begin_archive(const BackupArchive& archive) {
    archive_ = archive;
    first_entry_ = true;
    if (!result_.cluster.data.name.empty()) unknown("an archive behind that of the data directory");
    if (archive.tablespace_oid == 0) {
        while (!paths_.empty()) leave();
        enter(directory_named("data"), "data");
    } else {
        const std::string name = fmt::to_string(archive.tablespace_oid);
        const bool in_place = lies_in_place(archive);
        if (!in_place) {
            if (paths_.empty())
                enter(directory_named(std::string(tablespaces_directory)),
                      std::string(tablespaces_directory));
            result_.cluster.tablespace_links.push_back({archive.tablespace_oid, archive.location});
        }
        enter(directory_named(name), (in_place ? "data/pg_tblspc/" : "tablespaces/") + name);
    }
    archive_depth_ = paths_.size();
}

void StreamCapturer::end_archive() {
    while (paths_.size() > archive_depth_) leave();
    if (archive_.tablespace_oid != 0 && lies_in_place(archive_)) {
        in_place_.push_back(finish_directory());
    } else {
        leave();
    }
}

TreeEntry StreamCapturer::finish_directory() {
    std::vector<NodeRef> before;
    if (const std::optional<TreeEntry> entry = earlier(paths_.back()); entry && is_directory(*entry))
        before.push_back(entry->children);
    PreviousDirectory previous(run_.nodes(), before, [](const NodeRef&) {});
    TreeEntry entry = tree_.leave([&](const TreeEntry& member) {
        if (member.type != EntryType::file) return;
        const std::vector<const TreeEntry*> found = previous.find(member.name);
        count(member, found.empty() ? nullptr : found.front());
    });
    // As from a data directory: that of tablespaces is no directory of the cluster.
    if (paths_.back() != tablespaces_directory) ++result_.cluster.totals.directories;
    paths_.pop_back();
    return entry;
}

void StreamCapturer::leave() {
    const std::string path = paths_.back();
    if (path == links_directory) {
        for (TreeEntry& place : in_place_) tree_.add(std::move(place));
        in_place_.clear();
    }
    if (path == shared_directory && !control_seen_) {
        tree_.set_aside();
        paths_.pop_back();
        return;
    }
    if (path == "data" && !control_seen_) unknown(fmt::format("it has no {}", control_file_path));
    TreeEntry entry = finish_directory();
    if (path == "data") result_.cluster.data = entry;
    if (path == tablespaces_directory) result_.cluster.tablespaces = entry;
    tree_.add(std::move(entry));
}

// Leaves directories until that one, which is relative to the top of the archive, is where members are added.
void StreamCapturer::go_to(const std::string& directory) {
    const std::string& top = paths_[archive_depth_ - 1];
    const std::string wanted = directory.empty() ? top : fmt::format("{}/{}", top, directory);
    while (paths_.size() > archive_depth_ && paths_.back() != wanted) leave();
    if (paths_.back() == wanted) return;
    if (wanted != shared_directory) unknown(fmt::format("a member of {} apart from the others", directory));
    tree_.take_back();
    paths_.push_back(wanted);
}

// --- Members ----------------------------------------------------------------------------------------------

void StreamCapturer::take(const StreamedEntry& streamed) {
    const TarEntry& sent = streamed.entry;
    if (std::exchange(first_entry_, false)) set_metadata(tree_.top(), sent);
    if (sent.path.empty()) return; // the top itself
    if (is_label_file(streamed.path)) return label(streamed);
    go_to(directory_of(sent.path));
    switch (sent.kind) {
    case TarEntry::Kind::directory:
        return enter(describe(sent), fmt::format("{}/{}", paths_.back(), describe(sent).name));
    case TarEntry::Kind::symbolic_link:
        // Those to tablespaces are made by who restores.
        if (parse_data_path(streamed.path).kind == PathKind::tablespace_link) return;
        ++result_.cluster.totals.others;
        return tree_.add(describe(sent));
    case TarEntry::Kind::file:
        return streamed.path == control_file_path ? control(streamed) : file(streamed);
    }
}

void StreamCapturer::label(const StreamedEntry& streamed) {
    StreamedFile source(stream_, streamed.entry.size);
    const Bytes bytes = read_whole(source, streamed.path, largest_label_bytes);
    (streamed.path == label_file ? result_.label_text : result_.tablespace_map) = as_text(bytes);
}

void StreamCapturer::control(const StreamedEntry& streamed) {
    StreamedFile source(stream_, streamed.entry.size);
    const Bytes bytes = read_whole(source, streamed.path, largest_control_bytes);
    ControlFile& control = result_.cluster.control = parse_control_file(bytes);
    if (!control.crc_right) {
        throw Error(ErrorCode::corrupt, fmt::format("the sum of {} is wrong", control_file_path),
                    "take the backup again; when it stays so, look at it with pg_controldata", true);
    }
    if (control.system_identifier != request_.system_identifier) {
        throw Error(ErrorCode::usage,
                    fmt::format("the connection for replication leads to another cluster: its system "
                                "identifier is {}, not {}",
                                control.system_identifier, request_.system_identifier),
                    "name one host in the connection string");
    }
    control_seen_ = true;
    MemorySource content(bytes);
    add_file(describe(streamed.entry), run_.files().write(content, nullptr, {}));
}

void StreamCapturer::file(const StreamedEntry& streamed) {
    StreamedFile source(stream_, streamed.entry.size);
    const TreeEntry entry = describe(streamed.entry);
    FileContentResult content =
        write(source, entry, parse_data_path(streamed.path).kind == PathKind::relation);
    source.finish();
    add_file(entry, std::move(content));
}

FileContentResult StreamCapturer::write(StreamedFile& source, const TreeEntry& entry, bool relation) {
    FileWriteOptions options;
    if (relation) options.mode = SplitMode::pages;
    options.segment_done = [&](const std::function<FileContentResult()>& so_far) {
        if (!run_.checkpoint_due()) return;
        const TreeEntry part = unfinished_entry(entry, so_far());
        run_.save_checkpoint(tree_.so_far(&part)->children);
    };
    options.stopped = [&](const std::function<FileContentResult()>& so_far) {
        unfinished_ = unfinished_entry(entry, so_far());
    };
    // Small files are known by what they hold.
    std::optional<TreeEntry> before;
    if (entry.size >= segmented_file_bytes) before = earlier(fmt::format("{}/{}", paths_.back(), entry.name));
    if (before && before->type != EntryType::file) before.reset();
    return run_.files().write(source, before ? &*before : nullptr, options);
}

void StreamCapturer::add_file(TreeEntry entry, FileContentResult content) {
    ClusterCapture& cluster = result_.cluster;
    cluster.totals.read_bytes += content.read_bytes;
    cluster.rewritten_bytes += content.rewritten_bytes;
    entry.size = content.size_bytes;
    entry.content = std::move(content.content);
    entry.digest = content.digest;
    ++cluster.totals.files;
    cluster.totals.bytes += entry.size;
    tree_.add(std::move(entry));
}

// As an earlier snapshot has what lies at `path` of the tree; a tree that cannot be read has nothing.
std::optional<TreeEntry> StreamCapturer::earlier(const std::string& path) {
    for (const std::optional<NodeRef>& root : {earlier_.parent, earlier_.checkpoint}) {
        if (!root) continue;
        try {
            if (std::optional<TreeEntry> found = find_path(run_.nodes(), *root, path)) return found;
        } catch (const Error& error) {
            if (error.code() != ErrorCode::corrupt && error.code() != ErrorCode::wrong_key) throw;
        }
    }
    return std::nullopt;
}

void StreamCapturer::count(const TreeEntry& entry, const TreeEntry* before) {
    SnapshotTotals& totals = result_.cluster.totals;
    if (before == nullptr) {
        ++totals.new_files;
    } else if (before->digest == entry.digest && before->size == entry.size) {
        ++totals.unchanged_files;
    } else {
        ++totals.changed_files;
    }
}

// --- The whole --------------------------------------------------------------------------------------------

StreamCapture capture_stream(BackupRun& run, ClusterStream& stream, const StreamCaptureRequest& request,
                             std::stop_token stop) {
    StreamCapturer capturer(run, stream, request);
    return capture_or_save(capturer, run, *request.logger, stop);
}

} // namespace holdfast::postgres
