// Fills a repository with very many snapshots, as years of hourly backups of many sources do.
//
//   snapshots REPOSITORY KEY_FILE DIRECTORY COUNT SOURCES
//
// One backup of each source is made; what follows are commits of the same content by runs of their own, an
// hour apart, put as a backup that finds nothing changed puts its own.
#include "repository/protocol/protocol_object.h"
#include "service/backup_documents.h"
#include "service/open_repository.h"

#include <cstdio>
#include <cstdlib>
#include <future>
#include <string>
#include <vector>

using namespace holdfast;

namespace {

constexpr long writers_at_once = 32;

Snapshot first_of(Repository& repository, const std::string& source, const std::string& directory) {
    DocumentsBackup backup;
    backup.run.source = source;
    backup.run.host = "bench";
    backup.run.beat_interval = Duration::zero();
    backup.paths = {directory};
    Progress progress;
    return back_up_documents(repository, backup, progress, {}).report.snapshot;
}

void put_another(Repository& repository, Snapshot snapshot, Timestamp time) {
    RunContext run = repository.keys().begin_run(repository.random());
    snapshot.id = run.id();
    snapshot.time = time;
    const std::string name = commit_name(run.id());
    put_object(repository.context(), name,
               seal_object(ObjectKind::commit, name, encode_snapshot(snapshot), run));
}

} // namespace

int main(int argc, char** argv) {
    if (argc != 6) {
        std::fprintf(stderr, "usage: snapshots REPOSITORY KEY_FILE DIRECTORY COUNT SOURCES\n");
        return 2;
    }
    RepositoryAccess access;
    access.url = argv[1];
    access.key_file = argv[2];
    const long count = std::strtol(argv[4], nullptr, 10), sources = std::strtol(argv[5], nullptr, 10);
    try {
        const OpenRepository open = open_repository(access, silent_logger());
        std::vector<Snapshot> first;
        for (long i = 0; i < sources; ++i)
            first.push_back(first_of(*open.repository, "source" + std::to_string(i), argv[3]));
        const Timestamp begin = first.front().time - std::chrono::hours(count / sources);
        // Each waits for the disk most of the time.
        std::vector<std::future<void>> writers;
        for (long writer = 0; writer < writers_at_once; ++writer)
            writers.push_back(std::async(std::launch::async, [&, writer] {
                for (long i = sources + writer; i < count; i += writers_at_once)
                    put_another(*open.repository, first[static_cast<std::size_t>(i % sources)],
                                begin + std::chrono::hours(i / sources));
            }));
        for (std::future<void>& writer : writers) writer.get();
    } catch (const std::exception& error) {
        std::fprintf(stderr, "snapshots: %s\n", error.what());
        return 1;
    }
}
