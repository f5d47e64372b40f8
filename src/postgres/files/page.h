// A block of a relation as bytes: its header, its checksum, and whether it can be believed.
//
// The layout is that of PostgreSQL's "Database Page Layout" (the same in versions 13 to 18): log position,
// checksum, flags, lower, upper and special, and one word of page size and layout version, all in the byte
// order of the server, of which only little-endian ones are supported. The checksum is described in the
// server's src/include/storage/checksum_impl.h: 32 sums side by side, each FNV-1a over every 32nd word with a
// shift mixed in, folded by exclusive or, with the number of the block added. Pure functions, any thread.
#pragma once

#include "base/bytes.h"
#include "postgres/wal/lsn.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace holdfast::postgres {

constexpr std::size_t page_header_bytes = 24;
constexpr std::uint32_t least_page_bytes = 1024;
constexpr std::uint32_t most_page_bytes = 32768;

struct PageHeader {
    Lsn lsn; // end of the last record that changed the page
    std::uint16_t checksum = 0;
    std::uint16_t flags = 0;
    std::uint16_t lower = 0;   // end of the line pointers
    std::uint16_t upper = 0;   // start of the items
    std::uint16_t special = 0; // start of what belongs to the access method
    std::uint16_t size_and_version = 0;
    std::uint32_t prune_xid = 0;

    std::uint32_t size() const { return size_and_version & 0xff00U; }
    std::uint32_t version() const { return size_and_version & 0x00ffU; }
};

// `page` has at least page_header_bytes.
PageHeader read_page_header(ByteView page);

// The checksum that `page` should carry as block `block` of its fork, counted from the start of the first
// segment: segment number × blocks in a segment + block in the file. `page.size()` is the page size: a power
// of two from 1 to 32 KiB. Never 0.
std::uint16_t page_checksum(ByteView page, std::uint32_t block);

// What a page is judged by.
struct PageRules {
    bool checksums = false; // pg_control's data checksum version is not 0
    // A page that is not good, and whose last change is said to lie in [unsettled_from, unsettled_to], may
    // have been caught while it was written: from the start of the backup to as far as the server has written
    // now. Without an end, a damaged position would excuse any damage.
    Lsn unsettled_from{};
    Lsn unsettled_to{UINT64_MAX};
};

enum class PageState {
    unused,    // nothing but zeros: the relation was extended, the page not yet written
    good,      // header makes sense, and the checksum is right if there are checksums
    bad,       // not what PostgreSQL wrote, and its position does not explain it; read it again all the same
               // before saying so: the first write of an unused page may be half done
    unsettled, // not good, but within the unsettled range: read it again; when it stays so, the log from the
               // start of the backup restores it, as pg_basebackup relies on too
};
std::string_view to_string(PageState state);

struct PageVerdict {
    PageState state = PageState::good;
    PageHeader header;
    bool header_sane = true;    // false as well for a page that begins like an unused one, but is none
    std::uint16_t checksum = 0; // computed; 0 when there are no checksums, and for unused pages
    // For people, for example "checksum 0x12ab, expected 0x34cd".
    std::string why() const;
};

// `page` and `block` as for page_checksum.
PageVerdict judge_page(ByteView page, std::uint32_t block, const PageRules& rules);

} // namespace holdfast::postgres
