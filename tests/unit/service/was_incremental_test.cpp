#include "service/back_up_postgres.h"

#include <gtest/gtest.h>

namespace holdfast {
namespace {

bool incremental(const std::map<std::string, std::string>& tags) {
    Snapshot snapshot;
    snapshot.time = from_rfc3339("2026-11-20T12:00:00Z");
    snapshot.tags = tags;
    return was_incremental(snapshot);
}

// A list of backups asks this of each of them: none may end it.
TEST(WasIncremental, GoesByTheTagAndBearsWhatMakesNoSense) {
    EXPECT_TRUE(incremental({{"holdfast.read-whole", "2026-11-19T12:00:00Z"}}));
    EXPECT_FALSE(incremental({{"holdfast.read-whole", "2026-11-20T12:00:01Z"}}));
    EXPECT_FALSE(incremental({}));
    for (const char* text : {"", "yesterday", "2026-11-20", "2026-13-41T12:00:00Z"})
        EXPECT_FALSE(incremental({{"holdfast.read-whole", text}})) << text;
}

} // namespace
} // namespace holdfast
