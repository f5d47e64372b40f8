// Prepared transactions come back, whenever they were prepared: before a backup, while it was running, and
// behind it.
#include "support/protected_source.h"

#include <fstream>
#include <future>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace holdfast::postgres {
namespace {

using holdfast::test::Instance;
using holdfast::test::postgres_versions;
using holdfast::test::ProtectedSource;
using test::PostgresServer;

enum class Way { files, protocol };

class RestorePrepared : public testing::TestWithParam<std::tuple<int, Way>> {
  protected:
    RestorePrepared() {
        server_.execute("CREATE TABLE public.t (v text)");
        prepare("before");
        server_.execute("CHECKPOINT");
    }

    void prepare(const std::string& name) const {
        server_.execute(
            fmt::format("BEGIN; INSERT INTO public.t VALUES ('{0}'); PREPARE TRANSACTION '{0}'", name));
    }
    std::string redo() const { return server_.query_value("SELECT redo_lsn FROM pg_control_checkpoint()"); }

    // A backup while which a transaction is prepared and written to a file of its own. Beside the server that
    // directory is read late, and all before it takes seconds; over the protocol the server may send it
    // first.
    PostgresBackupResult back_up_while_one_is_prepared() {
        PostgresBackup what = source_.backup_of(server_);
        what.bytes_per_second = 8u << 20;
        if (std::get<Way>(GetParam()) == Way::protocol) {
            what.data_directory.clear();
            what.spool_directory.clear();
        }
        const std::string before = redo();
        auto backup = std::async(std::launch::async, [&] { return source_.back_up(what); });
        while (redo() == before &&
               backup.wait_for(std::chrono::milliseconds(20)) != std::future_status::ready) {
        }
        server_.execute("INSERT INTO public.t VALUES ('in between')"); // so that it is not just the next one
        prepare("meanwhile");
        server_.execute("CHECKPOINT");
        EXPECT_EQ(backup.wait_for(std::chrono::seconds(0)), std::future_status::timeout);
        return backup.get();
    }

    PostgresRestoreResult restore(PostgresRestore what) const {
        what.start.emplace();
        what.start->bin_directory = test::postgres_programs(server_.version());
        return source_.restore(what);
    }
    static std::string prepared_at(const Instance& instance) {
        return instance.value("SELECT string_agg(gid, ' ' ORDER BY gid) FROM pg_prepared_xacts");
    }

    PostgresServer server_{{.version = std::get<int>(GetParam()),
                            .settings = "wal_keep_size = '1GB'\nmax_prepared_transactions = 10\n"}};
    ProtectedSource source_;
};

INSTANTIATE_TEST_SUITE_P(Version, RestorePrepared,
                         testing::Combine(testing::ValuesIn(postgres_versions),
                                          testing::Values(Way::files, Way::protocol)),
                         [](const auto& of) {
                             return fmt::format("{}{}", std::get<int>(of.param),
                                                std::get<Way>(of.param) == Way::files ? "Files" : "Protocol");
                         });

TEST_P(RestorePrepared, ThoseOfTheTimeOfABackupComeBack) {
    const PostgresBackupResult backup = back_up_while_one_is_prepared();
    prepare("then");
    source_.push(server_);
    PostgresRestore what = source_.restore_to(RecoverToEnd{});
    {
        const PostgresRestoreResult result = restore(what);
        EXPECT_EQ(result.plan.snapshot.id, backup.report.snapshot.id);
        const Instance instance(*result.started);
        EXPECT_EQ(prepared_at(instance), "before meanwhile then");
        for (const char* name : {"before", "meanwhile", "then"})
            instance.execute(fmt::format("COMMIT PREPARED '{}'", name));
        EXPECT_EQ(instance.value("SELECT string_agg(v, ' ' ORDER BY v) FROM public.t"),
                  "before in between meanwhile then");
    }
    // In place, where files of that name may lie; and up to the backup's own end.
    what.in_place = true;
    EXPECT_EQ(prepared_at(Instance(*restore(what).started)), "before meanwhile then");
    what.request.target = RecoverToConsistency{};
    EXPECT_EQ(prepared_at(Instance(*restore(what).started)), "before meanwhile");
}

// A server that answers queries while it recovers reads the record of a prepared transaction again when it
// comes to a shutdown checkpoint, from the segment as the timeline of then calls it. Where a promotion
// followed in the same segment, recovery fetches that by a later timeline's name.
class RecoveryAcrossPromotions : public testing::TestWithParam<int> {};

INSTANTIATE_TEST_SUITE_P(Version, RecoveryAcrossPromotions, testing::ValuesIn(postgres_versions));

TEST_P(RecoveryAcrossPromotions, PassesShutdownsWhileATransactionIsPrepared) {
    PostgresServer first(
        {.version = GetParam(), .settings = "wal_keep_size = '1GB'\nmax_prepared_transactions = 10\n"});
    ProtectedSource source;
    first.execute("CREATE TABLE public.t (v text)");
    source.back_up(first);
    const auto second = PostgresServer::standby_of(first);
    source.push(first); // and no other end of a segment from here to the last promotion
    first.execute("BEGIN; INSERT INTO public.t VALUES ('prepared'); PREPARE TRANSACTION 'p'");
    second->catch_up_with(first);
    first.stop();
    second->promote();
    // Nothing is written on the second timeline but its beginning and its end.
    second->stop();
    second->add_settings("restore_command = 'false'\n");
    std::ofstream(second->data_directory() + "/recovery.signal").close();
    PostgresServer::give(second->data_directory());
    second->start();
    second->wait_until_writable();
    EXPECT_EQ(second->query_value("SELECT timeline_id FROM pg_control_checkpoint()"), "3");
    second->execute("INSERT INTO public.t VALUES ('behind both')");
    const std::string segment = second->query_value("SELECT pg_walfile_name(pg_switch_wal())");
    for (const std::string& name : {history_name(2), history_name(3), segment})
        push_wal(source.repository(), second->data_directory() + "/pg_wal/" + name, source.push_settings(),
                 {});

    const auto recovered = source.recover(source.restore_to(RecoverToEnd{}));
    recovered->execute("COMMIT PREPARED 'p'");
    EXPECT_EQ(recovered->query_value("SELECT timeline_id FROM pg_control_checkpoint()"), "4");
    EXPECT_EQ(recovered->query_value("SELECT string_agg(v, ', ' ORDER BY v) FROM public.t"),
              "behind both, prepared");
}

} // namespace
} // namespace holdfast::postgres
