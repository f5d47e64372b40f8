// Whether the log of a source is received, as it is measured.
#include "postgres/server/slots.h"
#include "postgres/server/wal_stream.h"
#include "service/measure.h"
#include "support/protected_source.h"

#include <gtest/gtest.h>

using namespace holdfast;
using namespace holdfast::postgres;
using namespace holdfast::test;

// One that never ran, or whose spool is lost, reports nothing; the one that should be there is missed.
TEST(ReceiverSeen, OneThatIsNotThereIsMissedWhereASlotIsNamed) {
    const PostgresServer server({.version = 15, .settings = "wal_keep_size = 1GB\nfsync = off\n"});
    ProtectedSource source;
    source.back_up(server);
    const auto seen = [&](const std::string& slot) {
        const MeasuredSource what{
            .name = source.name(), .kind = "postgresql", .connection = server.conninfo(), .slot = slot};
        return measure(source.repository(), {}, {.sources = {what}}, {}).sources.at(0).facts.receiver;
    };
    // Others archive.
    EXPECT_FALSE(seen(""));
    const auto missing = seen("holdfast");
    ASSERT_TRUE(missing);
    EXPECT_FALSE(missing->last_seen);
    Connection sql({.conninfo = server.conninfo()});
    create_slot(sql, "holdfast");
    const Lsn kept = read_slot(sql, "holdfast")->restart.value();
    ASSERT_TRUE(seen("holdfast"));
    EXPECT_FALSE(seen("holdfast")->last_seen);
    // Wherever its spool is.
    ReplicationConnection connection({.conninfo = server.conninfo()});
    const WalStream stream(connection, {.start = kept, .timeline = 1, .slot = "holdfast"});
    EXPECT_TRUE(seen("holdfast").value().last_seen);
}
