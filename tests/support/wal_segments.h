// Segments of a made-up log, as files and as bytes: commits and changed pages.
#pragma once

#include "postgres/wal/lsn.h"
#include "support/wal_writer.h"

#include <string>

namespace holdfast::test {

constexpr std::uint64_t small_segment_bytes = std::uint64_t{1} << 20;

// A log of `segments` whole segments of 1 MiB from `begin` on: records that change pages, each second of them
// followed by a commit, one second after another.
class MadeLog {
  public:
    explicit MadeLog(postgres::Lsn begin, std::size_t segments, std::uint64_t seed = 1,
                     postgres::TimelineId timeline = 1)
        : writer_(15, small_segment_bytes, begin, timeline) {
        using postgres::ResourceManager;
        while (writer_.bytes().size() < segments * small_segment_bytes) {
            ++count_;
            WalRecordSpec change;
            change.manager = ResourceManager::heap;
            change.xid = static_cast<postgres::TransactionId>(count_);
            WalBlockSpec block;
            block.relation = {1663, 5, 16384};
            block.block = static_cast<postgres::BlockNumber>((seed * 7919 + count_ * 13) % 5000);
            block.data = Bytes(2000 + count_ % 3000, static_cast<Byte>(count_ * seed));
            change.blocks.push_back(block);
            writer_.add(change);
            if (count_ % 2 != 0) continue;
            WalRecordSpec commit;
            commit.manager = ResourceManager::transaction;
            commit.xid = change.xid;
            commit.main_data = transaction_end_data(static_cast<std::int64_t>(count_) * 1'000'000, {});
            commit.info = 0x80;
            writer_.add(commit);
        }
        writer_.bytes().resize(segments * small_segment_bytes);
    }

    const Bytes& bytes() const { return writer_.bytes(); }
    postgres::Lsn begin() const { return writer_.begin(); }
    ByteView segment(std::size_t i) const {
        return ByteView(writer_.bytes()).subspan(i * small_segment_bytes, small_segment_bytes);
    }
    std::string name(std::size_t i, postgres::TimelineId timeline = 1) const {
        return postgres::segment_name(timeline, begin() + i * small_segment_bytes, small_segment_bytes);
    }

  private:
    WalWriter writer_;
    std::size_t count_ = 0;
};

} // namespace holdfast::test
