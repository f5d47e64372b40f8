#include "postgres/archive/same_cluster.h"

#include "base/error.h"
#include "base/file_descriptor.h"
#include "repository/protocol/snapshot_list.h"

#include <filesystem>

#include <fmt/format.h>

namespace holdfast::postgres {

void expect_same_cluster(const Repository& repository, const std::string& source, const ArchiveId& archive) {
    SnapshotList list = list_snapshots(repository.context());
    // Another domain's is another source of that name.
    std::erase_if(list.snapshots, [&](const Snapshot& snapshot) {
        return !snapshot.log || snapshot.domain != repository.keys().domain();
    });
    const Snapshot* newest = newest_of(list.snapshots, source, repository.keys().domain());
    if (newest != nullptr && newest->log->archive != archive) {
        throw Error(
            ErrorCode::already_exists,
            fmt::format("the source {} is another cluster than this one: snapshot {} has another system "
                        "identifier",
                        source, newest->id.hex()),
            "give this cluster a source of its own, or say --new-cluster if it has replaced the old one");
    }
}

void expect_same_cluster(const Repository& repository, const std::string& source, const ArchiveId& archive,
                         const std::string& spool_directory) {
    const std::string seen_path = spool_directory + "/archive";
    if (std::filesystem::exists(seen_path) && as_text(read_file(seen_path, 1024)) == archive.hex()) return;
    expect_same_cluster(repository, source, archive);
    write_file_durably(seen_path, as_bytes(archive.hex()));
}

} // namespace holdfast::postgres
