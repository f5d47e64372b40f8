// What is counted of logs.
#include "repository/log/log_writer.h"
#include "repository/protocol/writer_session.h"
#include "service/repository_stats.h"
#include "support/document_repository.h"

#include <gtest/gtest.h>

namespace holdfast {
namespace {

TEST(RepositoryStats, LogsAreCountedByArchiveWithTheirSources) {
    test::DocumentRepository files;
    files.write_file("a", 1000, 1);
    const Snapshot documents = files.back_up();
    const RepositoryContext& context = files.repository->context();
    const ArchiveId orders = archive_id(domain_id("default"), Bytes(32, 1), "orders", "1");
    const ArchiveId unnamed = archive_id(domain_id("default"), Bytes(32, 1), "orders", "2");
    Compressor compressor;
    const auto write = [&](const ArchiveId& archive, const LogRange& range) {
        LogWriter log(context, archive, 1);
        log.put(log.seal({.range = range, .content = Bytes(range.end - range.begin, 7)}, compressor));
    };
    write(orders, {2, 0, 0});
    write(orders, {1, 0, 100});
    write(orders, {1, 0, 200});
    write(orders, {1, 150, 300});
    write(orders, {2, 50, 150});
    write(unnamed, {1, 10, 20});
    RunContext run = files.repository->keys().begin_run(files.random);
    const auto session = WriterSession::begin(context, run, "test", Duration::zero());
    Snapshot snapshot = documents;
    snapshot.id = run.id();
    snapshot.source = "orders";
    snapshot.kind = "postgresql";
    snapshot.log = SnapshotLog{orders, {1, 0, 100}};
    session->commit(snapshot);

    const RepositoryStats stats = repository_stats(*files.repository, false, {});
    ASSERT_EQ(stats.logs.size(), 2U);
    const LogStats& log = stats.logs.at(orders);
    EXPECT_EQ(log.source, "orders");
    EXPECT_EQ(log.slices, 5U);
    EXPECT_EQ(log.log_bytes, 400U) << "what two slices have counts once";
    EXPECT_EQ(stats.logs.at(unnamed).source, "");
    EXPECT_EQ(stats.logs.at(unnamed).log_bytes, 10U);
    EXPECT_EQ(log.stored_bytes + stats.logs.at(unnamed).stored_bytes, stats.by_folder.at("logs").bytes);
}

} // namespace
} // namespace holdfast
