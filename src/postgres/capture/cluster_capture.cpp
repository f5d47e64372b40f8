#include "postgres/capture/cluster_capture.h"

#include "base/error.h"
#include "documents/directory_reader.h"
#include "documents/entry_metadata.h"
#include "documents/entry_name.h"
#include "postgres/capture/polite_files.h"
#include "repository/node/file_map_node.h"

#include <algorithm>

#include <fcntl.h>
#include <fmt/format.h>

namespace holdfast::postgres {

namespace {

constexpr std::size_t most_reported = 1000;
// So many files are opened and read ahead; with their entries and those of the earlier snapshot in memory.
constexpr std::size_t most_items = 64;

PageCheckSettings check_settings(const ClusterCaptureRequest& request, const ControlFile& control) {
    PageCheckSettings settings;
    settings.block_bytes = control.block_bytes;
    settings.segment_blocks = control.segment_blocks;
    settings.rules.checksums = control.data_checksums();
    settings.rules.unsettled_from = request.start;
    settings.attempts = request.page_attempts;
    settings.pause = request.page_pause;
    return settings;
}

int version_of(const ControlFile& control) {
    if (const std::optional<int> version = control.major_version()) return *version;
    throw Error(
        ErrorCode::incompatible,
        fmt::format("catalog version {} is of no known release of PostgreSQL", control.catalog_version),
        "Holdfast knows the releases of PostgreSQL 13 to 18");
}

bool has_changed_blocks(const DataPath& path) {
    return path.kind == PathKind::relation && (path.file.fork == Fork::main || path.file.fork == Fork::init);
}

// As pages of page_bytes; ranges that touch are one.
std::vector<PageRange> pages_of_blocks(const std::vector<BlockRange>& blocks, std::uint64_t block_bytes) {
    std::vector<PageRange> pages;
    for (const BlockRange& range : blocks) {
        const std::uint64_t first = range.first * block_bytes / page_bytes;
        const std::uint64_t end = pages_of((std::uint64_t{range.first} + range.count) * block_bytes);
        if (!pages.empty() && first <= pages.back().first + pages.back().count) {
            const std::uint64_t last = std::max(end, pages.back().first + pages.back().count);
            pages.back().count = last - pages.back().first;
        } else {
            pages.push_back({first, end - first});
        }
    }
    return pages;
}

} // namespace

ClusterCapturer::ClusterCapturer(BackupRun& run, const ClusterCaptureRequest& request,
                                 const ControlFile& control, Progress& progress, std::stop_token stop)
    : run_(run),
      request_(request),
      control_(control),
      progress_(progress),
      stop_(std::move(stop)),
      exclusions_(version_of(control), request.statistics_directory),
      tablespace_directory_(tablespace_directory(version_of(control), control.catalog_version)),
      own_files_(request.files == nullptr ? std::make_unique<PoliteFiles>() : nullptr),
      files_(own_files_ ? *own_files_ : *request.files),
      check_(check_settings(request, control), *request.clock),
      rate_(request.bytes_per_second, *request.clock),
      data_(run.writer()),
      tablespaces_(run.writer()),
      ahead_({.readers = request.readers, .waiting_bytes = request.read_ahead_bytes},
             {files_, check_, run.files().signer(), rate_, [&run] { return run.writer().spare_buffer(); },
              progress},
             stop_) {
    find_earlier_trees();
}

void ClusterCapturer::find_earlier_trees() {
    const EarlierRoots roots = earlier_roots(run_);
    parent_.emplace(run_, roots.parent);
    checkpoint_.emplace(run_, roots.checkpoint);
    if (request_.changes == nullptr) return;
    if (!roots.parent) {
        result_.everything_read_because = "there is no earlier snapshot to build on";
    } else if (run_.parent()->id != request_.changes_since) {
        result_.everything_read_because = "what has changed is known since another snapshot than the last";
    } else {
        changes_ = request_.changes;
    }
    if (changes_ == nullptr) {
        request_.logger->warning("all blocks are read", {{"reason", result_.everything_read_because}});
    }
}

ClusterCapture ClusterCapturer::capture() {
    result_.tablespace_links = tablespaces_of(request_.data_directory);
    result_.wal_link = wal_link_of(request_.data_directory);
    top_name_ = "data";
    walk_cluster(request_.data_directory, 0, "", exclusions_, *this, stop_);
    take_items(0);
    if (!control_seen_) {
        throw Error(ErrorCode::not_found, fmt::format("there is no {} any more", control_file_path),
                    "was the cluster removed meanwhile?");
    }
    walk_tablespaces();
    add_control_file();
    result_.bytes_from_disk = ahead_.read_bytes();
    result_.pages = check_.take_findings();
    result_.totals.new_bytes = run_.writer().totals().new_bytes;
    return std::move(result_);
}

void ClusterCapturer::walk_tablespaces() {
    if (result_.tablespace_links.empty()) return;
    tree_ = &tablespaces_;
    TreeEntry directory = *data_directory_;
    directory.name = "tablespaces";
    parent_->enter("tablespaces");
    checkpoint_->enter("tablespaces");
    tablespaces_.enter(std::move(directory));
    for (const TablespaceLocation& place : result_.tablespace_links) {
        top_name_ = fmt::to_string(place.oid);
        walk_cluster(place.path, place.oid, tablespace_directory_, exclusions_, *this, stop_);
    }
    take_items(0);
    parent_->leave();
    checkpoint_->leave();
    result_.tablespaces = tablespaces_.leave();
}

void ClusterCapturer::enter_directory(const WalkedEntry& walked, const std::string& path) {
    const std::string name = top_name_.empty() ? walked.name : std::exchange(top_name_, {});
    const TreeEntry* before = parent_->enter(name);
    checkpoint_->enter(name);
    Item item{.kind = Item::Kind::enter,
              .entry = describe(walked, path, before),
              .before = {},
              .reading = {},
              .named = {}};
    item.entry.name = name;
    if (!data_directory_) data_directory_ = item.entry;
    push(std::move(item));
}

void ClusterCapturer::leave_directory() {
    parent_->leave();
    checkpoint_->leave();
    push({.kind = Item::Kind::leave, .entry = {}, .before = {}, .reading = {}, .named = {}});
}

void ClusterCapturer::empty_directory(const std::string& name, const WalkedEntry& like) {
    Item item{.kind = Item::Kind::enter,
              .entry = describe(like, name, nullptr),
              .before = {},
              .reading = {},
              .named = {}};
    item.entry.name = name;
    push(std::move(item));
    push({.kind = Item::Kind::leave, .entry = {}, .before = {}, .reading = {}, .named = {}});
}

void ClusterCapturer::link(const WalkedEntry& walked, const std::string& path) {
    push({.kind = Item::Kind::ready,
          .entry = describe(walked, path, parent_->find(walked.name)),
          .before = {},
          .reading = {},
          .named = {}});
}

void ClusterCapturer::vanished(const std::string&) { ++result_.vanished; }

void ClusterCapturer::error(const std::string& path, const Error& error) { problem(path, error.message()); }

TreeEntry ClusterCapturer::describe(const WalkedEntry& walked, const std::string& path,
                                    const TreeEntry* before) {
    FileMetadata& metadata = walked.metadata;
    const bool same = before != nullptr && has_details_of(*before, metadata);
    if (!same) {
        const Result<void> details = walked.read_details(owners_);
        if (!details && details.error().code() != ErrorCode::not_found)
            problem(path, details.error().message());
    }
    TreeEntry entry = to_entry(walked.name, metadata);
    if (!set_details(entry, same ? before : nullptr, metadata))
        problem(path, "its extended attributes are too large and were left out");
    return entry;
}

void ClusterCapturer::file(const WalkedEntry& walked, const std::string& path) {
    const TreeEntry* before = parent_->find(walked.name);
    const TreeEntry* part = checkpoint_->find(walked.name);
    const bool known = before != nullptr && before->type == EntryType::file;
    Item item{.kind = Item::Kind::read,
              .entry = describe(walked, path, before),
              .before = {},
              .reading = {},
              .named = {}};
    if (path == control_file_path) {
        item.kind = Item::Kind::control;
        return push(std::move(item));
    }
    if (known) item.before = *before;
    decide(item, walked, path);
    // Only its places are of use: what it holds may be older than the log that the backup comes with.
    if (!known && part != nullptr && part->type == EntryType::file) item.before = *part;
    push(std::move(item));
}

bool ClusterCapturer::usable(const TreeEntry* before) const {
    return (before->flags & (entry_flag::unreadable | entry_flag::incomplete)) == 0 &&
           run_.may_take_over(before->content);
}

// The pages that may have changed; nothing when all may have.
std::optional<std::vector<PageRange>> ClusterCapturer::changed_pages(const RelationSegment& segment) const {
    SegmentChanges changes = changes_->of(segment);
    if (changes.what == SegmentChanges::What::all) return std::nullopt;
    if (changes.what == SegmentChanges::What::none) changes.blocks.clear();
    return pages_of_blocks(changes.blocks, control_.block_bytes);
}

// How much of a file is to be read: nothing, the pages that may have changed, or everything.
void ClusterCapturer::decide(Item& item, const WalkedEntry& walked, const std::string& path) {
    const DataPath place = parse_data_path(path);
    ReadOrder order;
    if (place.kind == PathKind::relation) order.relation = place.segment();
    if (changes_ != nullptr && has_changed_blocks(place) && item.before && usable(&*item.before)) {
        std::optional<std::vector<PageRange>> pages = changed_pages(place.segment());
        if (request_.compare) {
            item.named = std::move(pages);
        } else if (pages && pages->empty() && item.before->size == item.entry.size) {
            item.kind = Item::Kind::ready;
            item.entry.content = std::move(item.before->content);
            item.entry.digest = item.before->digest;
            item.entry.flags = item.before->flags;
            ++result_.totals.unchanged_files;
            progress_.add_done(item.entry.size, 1);
            return;
        } else if (item.entry.size >= segmented_file_bytes &&
                   std::holds_alternative<SegmentGroups>(item.before->content)) {
            order.pages = std::move(pages);
            order.known_bytes = item.before->size;
        }
    }
    order.directory = walked.directory;
    order.name = walked.name;
    order.path = path;
    order.size_bytes = item.entry.size;
    item.reading = ahead_.add(std::move(order));
}

void ClusterCapturer::push(Item item) {
    items_.push_back(std::move(item));
    take_items(most_items);
}

void ClusterCapturer::take_items(std::size_t most_left) {
    while (items_.size() > most_left) {
        // The walk may be over long before what it found has been read.
        if (stop_.stop_requested()) throw Error(ErrorCode::cancelled, "stopped before it was done");
        Item item = std::move(items_.front());
        items_.pop_front();
        take(item);
    }
}

void ClusterCapturer::take(Item& item) {
    switch (item.kind) {
    case Item::Kind::enter:
        tree_->enter(std::move(item.entry));
        break;
    case Item::Kind::leave:
        ++result_.totals.directories;
        tree_->leave();
        break;
    case Item::Kind::ready:
        add(item.entry);
        break;
    case Item::Kind::control:
        tree_->leave_out();
        control_entry_ = std::move(item.entry);
        control_seen_ = true;
        break;
    case Item::Kind::read:
        store(item);
        item.reading->close();
        progress_.add_done(0, 1);
        break;
    }
    checkpoint_if_due(nullptr);
}

void ClusterCapturer::add(const TreeEntry& entry) {
    tree_->add(entry);
    if (entry.type != EntryType::file) {
        ++result_.totals.others;
        return;
    }
    ++result_.totals.files;
    result_.totals.bytes += entry.size;
}

void ClusterCapturer::checkpoint_if_due(const TreeEntry* unfinished) {
    if (data_.begun() && run_.checkpoint_due()) run_.save_checkpoint(root_with(unfinished));
}

NodeRef ClusterCapturer::root_with(const TreeEntry* unfinished) const {
    DirectoryBuilder root([this](Bytes node) { return run_.writer().put_node(std::move(node)); });
    if (const auto data = data_.so_far(tree_ == &data_ ? unfinished : nullptr)) root.add(*data);
    if (const auto others = tablespaces_.so_far(tree_ == &data_ ? nullptr : unfinished)) root.add(*others);
    return root.finish();
}

std::optional<NodeRef> ClusterCapturer::root_so_far() const {
    if (!data_.begun()) return std::nullopt;
    return root_with(unfinished_ ? &*unfinished_ : nullptr);
}

void ClusterCapturer::problem(const std::string& path, std::string what) {
    ++result_.totals.failed;
    request_.logger->warning("left out", {{"path", printable(path)}, {"reason", what}});
    if (result_.problems.size() < most_reported)
        result_.problems.push_back({printable(path), std::move(what)});
}

} // namespace holdfast::postgres
