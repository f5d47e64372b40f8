// Fills a repository with very many small snapshots, as years of hourly backups of many sources do.
//
//   snapshots REPOSITORY KEY_FILE DIRECTORY COUNT SOURCES
#include "service/backup_documents.h"
#include "service/open_repository.h"

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

using namespace holdfast;

int main(int argc, char** argv) {
    if (argc != 6) {
        std::fprintf(stderr, "usage: snapshots REPOSITORY KEY_FILE DIRECTORY COUNT SOURCES\n");
        return 2;
    }
    RepositoryAccess access;
    access.url = argv[1];
    access.key_file = argv[2];
    const std::string directory = argv[3];
    const long count = std::strtol(argv[4], nullptr, 10), sources = std::strtol(argv[5], nullptr, 10);
    try {
        const OpenRepository open = open_repository(access, silent_logger());
        for (long i = 0; i < count; ++i) {
            std::ofstream(directory + "/file") << i;
            DocumentsBackup backup;
            backup.run.source = "source" + std::to_string(i % sources);
            backup.run.host = "bench";
            backup.run.beat_interval = Duration::zero();
            backup.paths = {directory};
            Progress progress;
            back_up_documents(*open.repository, backup, progress, {});
            if (i % 10'000 == 9'999) std::fprintf(stderr, "%ld snapshots\n", i + 1);
        }
    } catch (const std::exception& error) {
        std::fprintf(stderr, "snapshots: %s\n", error.what());
        return 1;
    }
}
