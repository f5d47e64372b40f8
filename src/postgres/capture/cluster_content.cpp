// How ClusterCapturer stores what files hold.
#include "base/error.h"
#include "base/file_descriptor.h"
#include "postgres/capture/cluster_capture.h"
#include "postgres/capture/memory_source.h"
#include "postgres/capture/page_comparison.h"
#include "repository/node/file_map_node.h"

#include <fmt/format.h>

namespace holdfast::postgres {

namespace {

constexpr std::size_t most_reported = 1000;
constexpr unsigned control_attempts = 50;
constexpr Duration control_pause = std::chrono::milliseconds(20);

} // namespace

void ClusterCapturer::store(Item& item) {
    const std::string& path = item.reading->order().path;
    try {
        if (std::optional<Error> error = item.reading->opened()) {
            if (error->code() == ErrorCode::not_found) {
                ++result_.vanished;
                return;
            }
            throw Error(*error);
        }
        FileContentResult content = write(item);
        item.entry.size = content.size_bytes;
        item.entry.content = std::move(content.content);
        item.entry.digest = content.digest;
        result_.totals.read_bytes += content.read_bytes;
        result_.rewritten_bytes += content.rewritten_bytes;
        if (content.map_missing) ++result_.files_without_map;
        ++(item.before ? result_.totals.changed_files : result_.totals.new_files);
    } catch (const Error& error) {
        const bool opened = !item.reading->opened();
        if (error.code() == ErrorCode::cancelled || (opened && !item.reading->failed())) throw;
        // Not the file of the last snapshot: the log would not bring that up to date.
        problem(path, error.message());
        item.entry.flags |= entry_flag::unreadable;
        item.entry.content = std::monostate{};
        item.entry.digest = {};
    }
    add(item.entry);
}

FileContentResult ClusterCapturer::write(Item& item) {
    AheadFile& file = *item.reading;
    const TreeEntry* before = item.before ? &*item.before : nullptr;
    item.entry.size = file.size_bytes();
    if (item.named) return compare(item);
    FileWriteOptions options;
    if (file.order().relation) options.mode = SplitMode::pages;
    if (file.order().pages) options.changed = &*file.order().pages;
    options.segment_done = [&](const std::function<FileContentResult()>& so_far) {
        if (!run_.checkpoint_due()) return;
        const TreeEntry entry = unfinished_entry(item.entry, so_far());
        run_.save_checkpoint(root_with(&entry));
    };
    options.stopped = [&](const std::function<FileContentResult()>& so_far) {
        unfinished_ = unfinished_entry(item.entry, so_far());
    };
    return run_.files().write(file, before, options);
}

// Stores a file of which everything is read, and looks for what should have been named.
FileContentResult ClusterCapturer::compare(Item& item) {
    AheadFile& file = *item.reading;
    PageComparison comparison(StoredContent(run_.nodes(), run_.packs(), *item.before), *item.named,
                              control_.block_bytes, request_.start);
    FileContentResult result;
    if (file.size_bytes() >= segmented_file_bytes) {
        FileWriteOptions options;
        options.mode = SplitMode::pages;
        options.page_differs = [&](std::uint64_t offset, ByteView page) {
            comparison.look_at(offset, page, file);
        };
        result = run_.files().write(file, &*item.before, options);
    } else {
        Bytes bytes(file.size_bytes());
        bytes.resize(file.read(0, bytes));
        MemorySource source(bytes);
        result = run_.files().write(source, &*item.before, {});
        if (result.digest != item.before->digest || result.size_bytes != item.before->size)
            comparison.look_at_all(bytes, file);
    }
    for (const std::uint32_t block : comparison.found()) {
        ++result_.unnamed_changes;
        if (result_.unnamed.size() < most_reported)
            result_.unnamed.push_back({*file.order().relation, block});
    }
    return result;
}

// Read last, and again until its sum is right.
void ClusterCapturer::add_control_file() {
    const std::string path = fmt::format("{}/{}", request_.data_directory, control_file_path);
    Bytes bytes;
    for (unsigned attempt = 0;; ++attempt) {
        bytes = read_file(path, 1u << 20);
        result_.control = parse_control_file(bytes);
        if (result_.control.crc_right) break;
        if (attempt == control_attempts) {
            throw Error(ErrorCode::corrupt, fmt::format("the sum of {} is never right", path),
                        "look at it with pg_controldata");
        }
        if (!request_.clock->sleep_for(control_pause, stop_))
            throw Error(ErrorCode::cancelled, "stopped before it was done");
    }
    MemorySource source(bytes);
    FileContentResult content = run_.files().write(source, nullptr, {});
    control_entry_->size = content.size_bytes;
    control_entry_->content = std::move(content.content);
    control_entry_->digest = content.digest;
    result_.totals.read_bytes += content.read_bytes;
    ++result_.totals.files;
    result_.totals.bytes += control_entry_->size;
    result_.data = data_.complete(*control_entry_);
}

} // namespace holdfast::postgres
