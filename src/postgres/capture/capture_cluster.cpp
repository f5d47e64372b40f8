#include "postgres/capture/capture_cluster.h"

#include "base/error.h"
#include "postgres/capture/cluster_capture.h"
#include "postgres/capture/memory_source.h"

#include <fmt/format.h>

namespace holdfast::postgres {

namespace {

// As it is before the capture; its sum may be wrong for a moment.
ControlFile control_of(const ClusterCaptureRequest& request, const std::stop_token& stop) {
    const std::string path = fmt::format("{}/{}", request.data_directory, control_file_path);
    constexpr unsigned attempts = 50;
    ControlFile control;
    for (unsigned attempt = 0; attempt < attempts; ++attempt) {
        control = parse_control_file(read_file(path, 1u << 20));
        if (control.crc_right) break;
        if (!request.clock->sleep_for(std::chrono::milliseconds(20), stop))
            throw Error(ErrorCode::cancelled, "stopped before it was done");
    }
    if (!control.crc_right) {
        throw Error(ErrorCode::corrupt, fmt::format("the sum of {} is never right", path),
                    "look at it with pg_controldata");
    }
    if (request.system_identifier && *request.system_identifier != control.system_identifier) {
        throw Error(ErrorCode::usage,
                    fmt::format("{} is another cluster: its system identifier is {}, not {}",
                                request.data_directory, control.system_identifier,
                                *request.system_identifier),
                    "check data_directory and connection of the source");
    }
    // A server that has begun a backup at a position has a checkpoint from there on, and all that came before
    // it in its files. Those of another server of the cluster may lack it, and nothing would bring it back.
    if (control.checkpoint.redo < request.start) {
        throw Error(ErrorCode::usage,
                    fmt::format("{} is not the data directory of the server that began the backup: its last "
                                "checkpoint is at {}, before {}",
                                request.data_directory, control.checkpoint.redo.str(), request.start.str()),
                    "check data_directory and connection of the source: both must be of one server");
    }
    return control;
}

} // namespace

ClusterCapture capture_cluster(BackupRun& run, const ClusterCaptureRequest& request, Progress& progress,
                               std::stop_token stop) {
    const ControlFile control = control_of(request, stop);
    ClusterCapturer capturer(run, request, control, progress, stop);
    return capture_or_save(capturer, run, *request.logger, stop);
}

void save_unfinished(BackupRun& run, const std::function<std::optional<NodeRef>()>& root, Logger& logger) {
    try {
        if (const std::optional<NodeRef> so_far = root()) run.end_early(*so_far);
    } catch (const Error& error) {
        logger.warning("no last checkpoint", {{"reason", error.message()}});
    }
}

TreeEntry unfinished_entry(TreeEntry entry, FileContentResult part) {
    entry.flags |= entry_flag::incomplete;
    entry.size = part.size_bytes;
    entry.content = std::move(part.content);
    return entry;
}

NodeRef finish_cluster_tree(BackupRun& run, const ClusterCapture& capture, std::span<const ExtraFile> extras,
                            Timestamp time) {
    const auto store = [&run](Bytes node) { return run.writer().put_node(std::move(node)); };
    const auto seconds = std::chrono::floor<std::chrono::seconds>(time.time_since_epoch());
    TreeEntry extra;
    extra.mode = 0600;
    extra.uid = capture.data.uid;
    extra.gid = capture.data.gid;
    extra.user = capture.data.user;
    extra.group = capture.data.group;
    extra.mtime = extra.ctime = {seconds.count(), 0};
    extra.links = 1;

    TreeEntry directory = extra;
    directory.name = "holdfast";
    directory.type = EntryType::directory;
    directory.mode = 0700;
    DirectoryBuilder files(store);
    for (const ExtraFile& file : extras) {
        TreeEntry entry = extra;
        entry.name = file.name;
        MemorySource source(file.content);
        FileContentResult content = run.files().write(source, nullptr, {});
        entry.size = content.size_bytes;
        entry.content = std::move(content.content);
        entry.digest = content.digest;
        ++directory.files;
        directory.bytes += entry.size;
        files.add(entry);
    }
    directory.children = files.finish();

    DirectoryBuilder root(store);
    root.add(capture.data);
    root.add(directory);
    if (capture.tablespaces) root.add(*capture.tablespaces);
    return root.finish();
}

} // namespace holdfast::postgres
