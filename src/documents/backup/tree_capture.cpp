#include "documents/backup/tree_capture.h"

#include "documents/entry_metadata.h"
#include "documents/entry_name.h"
#include "documents/file_reader.h"

#include <algorithm>

#include <fmt/format.h>

namespace holdfast {

namespace {

constexpr std::size_t most_problems = 1000;
// The kernel's clock for time stamps ticks at most this far apart …
constexpr Duration fine_tick = std::chrono::milliseconds(20);
// … except on file systems that store whole seconds, or two.
constexpr Duration coarse_tick = std::chrono::seconds(2);

// A FileReader as the content writer wants it.
class ReaderSource final : public ContentSource {
  public:
    ReaderSource(FileReader& reader, std::stop_token stop, Progress& progress)
        : reader_(reader), stop_(std::move(stop)), progress_(progress) {}
    std::uint64_t size_bytes() const override { return reader_.size_bytes(); }
    std::optional<SourceExtent> next_extent() override {
        const std::optional<FileExtent> extent = value_of(reader_.next_extent());
        if (!extent) return std::nullopt;
        return SourceExtent{extent->offset, extent->length, extent->hole};
    }
    std::size_t read(std::uint64_t offset, MutableByteView out) override {
        if (stop_.stop_requested()) throw Error(ErrorCode::cancelled, "stopped before it was done");
        try {
            const std::size_t got = value_of(reader_.read(offset, out));
            progress_.add_done(got);
            return got;
        } catch (const Error&) {
            failed_ = true;
            throw;
        }
    }
    // Whether an error came from the source, and not from storing what was read.
    bool failed() const { return failed_; }

  private:
    template <typename Value>
    Value value_of(Result<Value> result) {
        if (result) return std::move(*result);
        failed_ = true;
        throw result.error();
    }
    FileReader& reader_;
    std::stop_token stop_;
    Progress& progress_;
    bool failed_ = false;
};

} // namespace

TreeCapture::TreeCapture(const std::vector<NodeRef>& previous, const TreeBackupSettings& settings,
                         const CaptureTools& tools, std::stop_token stop)
    : settings_(settings),
      tools_(tools),
      stop_(std::move(stop)),
      previous_roots_(previous),
      tree_(tools.writer) {
    for (const SplitRule& rule : settings.split_rules) {
        PathFilter filter;
        filter.exclude(rule.pattern);
        split_filters_.emplace_back(std::move(filter), rule.mode);
    }
}

bool TreeCapture::enter_directory(const WalkedEntry& walked) {
    std::vector<NodeRef> previous;
    const TreeEntry* before = nullptr;
    std::vector<const TreeEntry*> found;
    if (open_.empty()) {
        previous = previous_roots_;
    } else {
        found = open_.back().previous.find(walked.name);
        for (const TreeEntry* entry : found) {
            if (entry->type == EntryType::directory) previous.push_back(entry->children);
        }
        if (!found.empty()) before = found.front();
    }
    TreeEntry entry = describe(walked, before);
    PreviousDirectory directory(tools_.nodes, previous, [this](const NodeRef& node) {
        if (tools_.usable(node.location.frame)) tools_.writer.remember_node(node);
    });
    open_.push_back(Open{std::string(walked.path), std::move(directory)});
    tree_.enter(std::move(entry));
    const FileIdentity identity{walked.metadata.device, walked.metadata.inode};
    if (settings_.repository_directory != identity) return true;
    // What it holds is not known, so that a restore in place lets it be.
    tree_.top().flags |= entry_flag::unreadable;
    tools_.logger.warning("the repository itself is left out of the backup",
                          {{"path", printable(walked.path)}});
    return false;
}

void TreeCapture::leave_directory(std::string_view) {
    open_.pop_back();
    ++result_.totals.directories;
    if (const std::optional<TreeEntry> root = tree_.leave()) result_.root = root->children;
}

void TreeCapture::entry(const WalkedEntry& walked) {
    const std::vector<const TreeEntry*> before = open_.back().previous.find(walked.name);
    const bool regular = walked.metadata.type == FileType::regular;
    if (!settings_.read_everything) {
        for (const TreeEntry* candidate : before) {
            if (!is_unchanged(walked.metadata, *candidate)) continue;
            if (regular) {
                ++result_.totals.unchanged_files;
                tools_.progress.add_done(candidate->size, 1);
            }
            add(renewed(walked, *candidate));
            return;
        }
    }
    TreeEntry entry = describe(walked, before.empty() ? nullptr : before.front());
    if (regular) {
        const Reading reading = take_from_link(entry) ? Reading::done : read_content(walked, entry, before);
        if (reading == Reading::gone) return;
        if (reading == Reading::done)
            ++(before.empty() ? result_.totals.new_files : result_.totals.changed_files);
        tools_.progress.add_done(0, 1);
    }
    add(entry);
    if (tools_.checkpoint_due && tools_.checkpoint_due()) tools_.save_checkpoint(tree_so_far(nullptr));
}

// The entry of something whose content is as it was. Devices are numbered anew at every mount, and what the
// settings ignore may differ.
TreeEntry TreeCapture::renewed(const WalkedEntry& walked, const TreeEntry& before) {
    TreeEntry entry = before;
    if (before.ctime != walked.metadata.ctime) {
        entry = describe(walked, &before);
        entry.size = before.size;
        entry.flags = before.flags;
        entry.content = before.content;
        entry.digest = before.digest;
    }
    entry.device = walked.metadata.device;
    entry.inode = walked.metadata.inode;
    entry.links = walked.metadata.link_count;
    return entry;
}

TreeEntry TreeCapture::describe(const WalkedEntry& walked, const TreeEntry* before) {
    FileMetadata& metadata = walked.metadata;
    const bool same_details = before != nullptr && has_details_of(*before, metadata) &&
                              !settings_.ignore_ctime && (before->flags & entry_flag::fresh_times) == 0;
    if (!same_details) {
        if (const Result<void> details = walked.read_details(owners_); !details) {
            problem(walked.path, details.error().message());
        }
    }
    TreeEntry entry = to_entry(walked.name, metadata);
    if (!set_details(entry, same_details ? before : nullptr, metadata))
        problem(walked.path, "its extended attributes are too large and were left out");
    return entry;
}

bool TreeCapture::is_unchanged(const FileMetadata& now, const TreeEntry& before) const {
    constexpr std::uint8_t untrusted =
        entry_flag::fresh_times | entry_flag::incomplete | entry_flag::unreadable | entry_flag::changed;
    return (before.flags & untrusted) == 0 && before.type == entry_type(now.type) &&
           before.mtime == now.mtime && (settings_.ignore_ctime || before.ctime == now.ctime) &&
           (settings_.ignore_inode || before.inode == now.inode) &&
           (now.type == FileType::directory || before.size == now.size_bytes) &&
           tools_.content_usable(before.content);
}

bool TreeCapture::take_from_link(TreeEntry& entry) {
    if (entry.links < 2) return false;
    const TreeEntry* other = links_.find(entry.device, entry.inode);
    if (other == nullptr || other->mtime != entry.mtime || other->size != entry.size) return false;
    entry.content = other->content;
    entry.digest = other->digest;
    entry.flags = other->flags;
    return true;
}

// Old content under new times would be taken for what the file holds now: an old entry stands whole, or not
// at all.
TreeCapture::Reading TreeCapture::give_up(const WalkedEntry& walked, TreeEntry& entry,
                                          const std::vector<const TreeEntry*>& before, const Error& error) {
    if (error.code() == ErrorCode::not_found) {
        vanished(walked.path);
        return Reading::gone;
    }
    problem(walked.path, error.message());
    const auto whole = std::ranges::find_if(before, [&](const TreeEntry* old) {
        const bool missing = (old->flags & entry_flag::unreadable) != 0 &&
                             std::holds_alternative<std::monostate>(old->content);
        return old->type == EntryType::file && (old->flags & entry_flag::incomplete) == 0 && !missing &&
               tools_.content_usable(old->content);
    });
    if (whole != before.end()) {
        entry = **whole;
    } else {
        entry.content = std::monostate{};
        entry.digest = {};
    }
    entry.flags |= entry_flag::unreadable;
    return Reading::failed;
}

TreeCapture::Reading TreeCapture::read_content(const WalkedEntry& walked, TreeEntry& entry,
                                               const std::vector<const TreeEntry*>& before) {
    const Timestamp opened = tools_.clock.now();
    FileMetadata metadata;
    Result<FileReader> reader = FileReader::open(walked.directory->get(), walked.name, metadata);
    if (!reader) return give_up(walked, entry, before, reader.error());
    entry.size = metadata.size_bytes;
    entry.mtime = metadata.mtime;
    entry.ctime = metadata.ctime;
    entry.inode = metadata.inode;

    ReaderSource source(*reader, stop_, tools_.progress);
    FileContentResult content;
    const TreeEntry* base = nullptr;    // a whole version rather than a part of a newer one
    const TreeEntry* trusted = nullptr; // the part that an interrupted run has read of this one
    for (const TreeEntry* candidate : before) {
        if (candidate->type != EntryType::file) continue;
        const bool part = (candidate->flags & entry_flag::incomplete) != 0;
        if (part && trusted == nullptr && (candidate->flags & entry_flag::fresh_times) == 0 &&
            candidate->mtime == entry.mtime && candidate->ctime == entry.ctime &&
            candidate->inode == entry.inode) {
            trusted = candidate;
        }
        if (base == nullptr || (!part && (base->flags & entry_flag::incomplete) != 0)) base = candidate;
    }
    FileWriteOptions options;
    options.mode = split_mode(walked.path);
    options.trusted = trusted;
    const auto unfinished_entry = [&](FileContentResult part) {
        TreeEntry unfinished = entry;
        unfinished.flags |= entry_flag::incomplete;
        if (times_are_fresh(entry, opened)) unfinished.flags |= entry_flag::fresh_times;
        unfinished.size = part.size_bytes;
        unfinished.content = std::move(part.content);
        return unfinished;
    };
    options.segment_done = [&](const std::function<FileContentResult()>& so_far) {
        if (!tools_.checkpoint_due || !tools_.checkpoint_due()) return;
        const TreeEntry unfinished = unfinished_entry(so_far());
        tools_.save_checkpoint(tree_so_far(&unfinished));
    };
    options.stopped = [&](const std::function<FileContentResult()>& so_far) {
        unfinished_ = unfinished_entry(so_far());
    };
    try {
        content = tools_.files.write(source, base, options);
    } catch (const Error& error) {
        if (!source.failed()) throw;
        return give_up(walked, entry, before, error);
    }
    entry.content = std::move(content.content);
    entry.digest = content.digest;
    result_.totals.read_bytes += content.read_bytes;
    result_.rewritten_bytes += content.rewritten_bytes;
    const Result<FileState> state = reader->finish();
    if (!state || *state == FileState::changed || content.size_bytes != entry.size) {
        entry.flags |= entry_flag::changed;
        entry.size = content.size_bytes;
        ++result_.changed_while_read;
        tools_.logger.warning("file changed while it was read", {{"path", printable(walked.path)}});
    }
    if (times_are_fresh(entry, opened)) entry.flags |= entry_flag::fresh_times;
    if (entry.links > 1) links_.add(entry);
    return Reading::done;
}

// A file that is written to in the same tick in which it was read keeps its time stamps, and the next backup
// would not see it.
bool TreeCapture::times_are_fresh(const TreeEntry& entry, Timestamp opened) const {
    const FileTime& newest = std::max(entry.mtime, entry.ctime);
    const bool coarse = entry.mtime.nanoseconds == 0 && entry.ctime.nanoseconds == 0;
    const Timestamp settled = opened - (coarse ? coarse_tick : fine_tick);
    const auto since_epoch = settled.time_since_epoch();
    const auto seconds = std::chrono::floor<std::chrono::seconds>(since_epoch);
    const FileTime limit{seconds.count(), static_cast<std::uint32_t>((since_epoch - seconds).count())};
    return newest >= limit;
}

void TreeCapture::add(const TreeEntry& entry) {
    tree_.add(entry);
    if (entry.type != EntryType::file) {
        ++result_.totals.others;
        return;
    }
    ++result_.totals.files;
    result_.totals.bytes += entry.size;
}

SplitMode TreeCapture::split_mode(std::string_view path) const {
    SplitMode mode = SplitMode::automatic;
    for (const auto& [filter, rule_mode] : split_filters_) {
        if (filter.excludes("/", path, false)) mode = rule_mode;
    }
    return mode;
}

void TreeCapture::vanished(std::string_view path) { problem(path, "it vanished before it could be read"); }

void TreeCapture::error(std::string_view path, const Error& error) {
    // What a directory holds is then not known to be all.
    if (!open_.empty() && open_.back().path == path) tree_.top().flags |= entry_flag::unreadable;
    problem(path, error.message());
}

void TreeCapture::problem(std::string_view path, std::string what) {
    ++result_.totals.failed;
    tools_.logger.warning("left out", {{"path", printable(path)}, {"reason", what}});
    if (result_.problems.size() < most_problems)
        result_.problems.push_back({"/" + printable(path), std::move(what)});
}

NodeRef TreeCapture::tree_so_far(const TreeEntry* unfinished) const {
    return tree_.so_far(unfinished)->children;
}

std::optional<NodeRef> TreeCapture::root_so_far() const {
    if (tree_.empty()) return std::nullopt;
    return tree_so_far(unfinished_ ? &*unfinished_ : nullptr);
}

TreeBackupResult TreeCapture::take_result() { return std::move(result_); }

TreeBackupResult capture_tree(const std::vector<std::string>& paths, const std::vector<NodeRef>& previous,
                              const TreeBackupSettings& settings, const CaptureTools& tools,
                              std::stop_token stop) {
    TreeCapture capture(previous, settings, tools, stop);
    try {
        walk_trees(paths, settings.filter, settings.walk, capture, stop);
    } catch (const Error& error) {
        if (error.code() == ErrorCode::cancelled && stop.stop_requested() && tools.stopped) {
            try {
                if (const std::optional<NodeRef> root = capture.root_so_far()) tools.stopped(*root);
            } catch (const Error& second) {
                tools.logger.warning("no last checkpoint", {{"reason", second.message()}});
            }
        }
        throw;
    }
    TreeBackupResult result = capture.take_result();
    result.totals.new_bytes = tools.writer.totals().new_bytes;
    return result;
}

} // namespace holdfast
