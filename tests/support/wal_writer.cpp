#include "support/wal_writer.h"

#include "base/crc32c.h"
#include "postgres/wal/wal_reader.h"

#include <algorithm>
#include <cstring>

namespace holdfast::test {

using namespace postgres;

namespace {

void align(Bytes& bytes) { bytes.resize((bytes.size() + 7) / 8 * 8); }

void put_relation(ByteWriter& out, const RelationFile& relation) {
    out.u32(relation.tablespace);
    out.u32(relation.database);
    out.u32(relation.number);
}

} // namespace

WalWriter::WalWriter(int version, std::uint64_t segment_bytes, Lsn begin, TimelineId timeline,
                     std::uint64_t system_identifier)
    : version_(version),
      segment_bytes_(segment_bytes),
      begin_(begin),
      timeline_(timeline),
      system_identifier_(system_identifier) {}

Bytes WalWriter::record(const WalRecordSpec& spec) const {
    ByteWriter body;
    Byte id = 0;
    for (const WalBlockSpec& block : spec.blocks) {
        body.u8(id++);
        body.u8(static_cast<Byte>(static_cast<unsigned>(block.fork) | (block.image ? 0x10U : 0U) |
                                  (block.data.empty() ? 0U : 0x20U) | (block.will_init ? 0x40U : 0U)));
        body.u16(static_cast<std::uint16_t>(block.data.size()));
        if (block.image) {
            body.u16(wal_page_bytes);
            body.u16(0);
            body.u8(version_ < 15 ? 0x04 : 0x02);
        }
        put_relation(body, block.relation);
        body.u32(block.block);
    }
    if (spec.main_data.size() > 255) {
        body.u8(254);
        body.u32(static_cast<std::uint32_t>(spec.main_data.size()));
    } else if (!spec.main_data.empty()) {
        body.u8(255);
        body.u8(static_cast<Byte>(spec.main_data.size()));
    }
    for (const WalBlockSpec& block : spec.blocks) {
        if (block.image) body.raw(Bytes(wal_page_bytes, static_cast<Byte>(block.block)));
        body.raw(block.data);
    }
    body.raw(spec.main_data);
    ByteWriter header;
    header.u32(static_cast<std::uint32_t>(wal_record_header_bytes + body.size()));
    header.u32(spec.xid);
    header.u64(previous_.value);
    header.u8(spec.info);
    header.u8(static_cast<Byte>(spec.manager));
    header.u16(0);
    header.u32(crc32c(crc32c(0, body.bytes()), header.bytes()));
    header.raw(body.bytes());
    return std::move(header).take();
}

void WalWriter::page_header(std::uint32_t remaining, bool overwrites) {
    const bool first = position().value % segment_bytes_ == 0;
    ByteWriter out;
    out.u16(wal_page_magic(version_));
    out.u16(
        static_cast<std::uint16_t>((remaining != 0 ? 1U : 0U) | (first ? 2U : 0U) | (overwrites ? 8U : 0U)));
    out.u32(timeline_);
    out.u64(position().value);
    out.u32(remaining);
    out.u32(0);
    if (first) {
        out.u64(system_identifier_);
        out.u32(static_cast<std::uint32_t>(segment_bytes_));
        out.u32(wal_page_bytes);
    }
    bytes_.insert(bytes_.end(), out.bytes().begin(), out.bytes().end());
}

Lsn WalWriter::lay(const Bytes& record) {
    if (position().value % wal_page_bytes == 0) page_header(0);
    const Lsn start = position();
    std::size_t laid = 0;
    while (laid != record.size()) {
        if (position().value % wal_page_bytes == 0)
            page_header(static_cast<std::uint32_t>(record.size() - laid));
        const std::size_t piece =
            std::min<std::size_t>(wal_page_bytes - position().value % wal_page_bytes, record.size() - laid);
        const auto from = record.begin() + static_cast<std::ptrdiff_t>(laid);
        bytes_.insert(bytes_.end(), from, from + static_cast<std::ptrdiff_t>(piece));
        laid += piece;
    }
    align(bytes_);
    previous_ = start;
    return start;
}

Lsn WalWriter::add(const WalRecordSpec& spec) { return lay(record(spec)); }

Lsn WalWriter::add_switch() {
    const Lsn start = add({ResourceManager::xlog, 0x40, 0, {}, {}});
    const std::uint64_t used = position().value % segment_bytes_;
    if (used != 0) bytes_.resize(bytes_.size() + segment_bytes_ - used);
    return start;
}

Lsn WalWriter::add_overwritten(const WalRecordSpec& lost) {
    const Bytes cut = record(lost);
    const Lsn before = previous_;
    const std::size_t room = wal_page_bytes - position().value % wal_page_bytes;
    const Lsn start = position();
    bytes_.insert(bytes_.end(), cut.begin(), cut.begin() + static_cast<std::ptrdiff_t>(room));
    previous_ = before;
    page_header(0, true);
    ByteWriter data;
    data.u64(start.value);
    data.u64(0);
    add({ResourceManager::xlog, 0xd0, 0, data.bytes(), {}});
    return start;
}

Bytes storage_create_data(const RelationFile& relation, Fork fork) {
    ByteWriter out;
    put_relation(out, relation);
    out.u32(static_cast<std::uint32_t>(fork));
    return std::move(out).take();
}

Bytes storage_truncate_data(const RelationFile& relation, BlockNumber blocks, std::uint32_t flags) {
    ByteWriter out;
    out.u32(blocks);
    put_relation(out, relation);
    out.u32(flags);
    return std::move(out).take();
}

Bytes transaction_end_data(std::int64_t time, const std::vector<RelationFile>& dropped) {
    ByteWriter out;
    out.u64(static_cast<std::uint64_t>(time));
    out.u32(4);
    out.u32(static_cast<std::uint32_t>(dropped.size()));
    for (const RelationFile& relation : dropped) put_relation(out, relation);
    return std::move(out).take();
}

} // namespace holdfast::test
