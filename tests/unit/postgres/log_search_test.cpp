// What is found in a log of the ends of transactions, over one that is made up.
#include "postgres/recovery/log_search.h"
#include "support/made_source.h"
#include "support/wal_segments.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast::postgres {
namespace {

using testing::HasSubstr;

// A segment with the end of one transaction after the other.
class FindTransaction : public testing::Test, protected test::MadeSource {
  protected:
    static constexpr std::uint8_t commit = 0x00, abort = 0x20;

    FindTransaction() {
        slice(16, 17, 1, 1);
        source.content = [this](const LogSliceId&) {
            Bytes segment = writer.bytes();
            segment.resize(mebibyte);
            return segment;
        };
    }
    Lsn end_of_transaction(TransactionId xid, std::uint8_t how, std::size_t data_bytes = 8) {
        return writer.add({ResourceManager::transaction, how, xid, Bytes(data_bytes), {}});
    }
    TransactionSearch find(std::uint64_t xid) {
        return find_transaction(source, follow_log(source, source.history_of(1), at(16)), xid);
    }

    static constexpr std::uint64_t mebibyte = test::mebibyte;
    test::WalWriter writer{15, mebibyte, at(16)};
};

TEST_F(FindTransaction, TellsWhereItEndedAndHow) {
    const Lsn kept = end_of_transaction(5, commit), undone = end_of_transaction(6, abort);
    EXPECT_EQ(find(5).found->start, kept);
    EXPECT_TRUE(find(5).found->committed);
    EXPECT_EQ(find(6).found->start, undone);
    EXPECT_FALSE(find(6).found->committed);
    const TransactionSearch none = find(7);
    EXPECT_FALSE(none.found);
    EXPECT_EQ(none.unread, "");
}

TEST_F(FindTransaction, AnEndThatIsNotUnderstoodMayHaveBeenIt) {
    end_of_transaction(5, commit, 3);
    end_of_transaction(6, abort, 3);
    const Lsn behind = end_of_transaction(7, commit);
    const TransactionSearch search = find(5);
    EXPECT_FALSE(search.found);
    EXPECT_THAT(search.unread, HasSubstr("ends too early"));
    const TransactionSearch other = find(7);
    ASSERT_TRUE(other.found);
    EXPECT_EQ(other.found->start, behind);
}

} // namespace
} // namespace holdfast::postgres
