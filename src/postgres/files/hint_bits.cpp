#include "postgres/files/hint_bits.h"

#include "base/little_endian.h"
#include "postgres/files/page.h"

#include <algorithm>

namespace holdfast::postgres {

namespace {

// src/include/storage/bufpage.h
constexpr std::size_t checksum_offset = 8;
constexpr std::size_t flags_offset = 10;
constexpr std::size_t lower_offset = 12;
constexpr std::size_t prune_xid_offset = 20;
constexpr std::uint16_t has_free_lines = 0x0001;
constexpr std::uint16_t page_full = 0x0002;
constexpr std::uint16_t all_visible = 0x0004;

// src/include/storage/itemid.h: from the low end 15 bits of offset, 2 of state, 15 of length.
constexpr std::size_t line_pointer_bytes = 4;
constexpr std::uint32_t lp_normal = 1;
constexpr std::uint32_t lp_dead = 3;

// src/include/access/htup_details.h
constexpr std::size_t infomask_offset = 20;
constexpr std::size_t least_tuple_bytes = 23;
constexpr std::uint16_t xmin_hints = 0x0300;
constexpr std::uint16_t xmax_hints = 0x0c00;

// The special spaces: nbtree.h, hash.h, gist.h, spgist_private.h, brin_page.h.
constexpr std::size_t wide_special = 16;
constexpr std::size_t narrow_special = 8;
constexpr std::uint16_t hash_page_id = 0xff80;
constexpr std::uint16_t gist_page_id = 0xff81;
constexpr std::uint16_t spgist_page_id = 0xff82;
constexpr std::uint16_t highest_btree_cycle = 0xff7f;
constexpr std::uint16_t btree_deleted_or_meta = 1 << 2 | 1 << 3;
constexpr std::uint16_t btree_has_garbage = 1 << 6;
constexpr std::uint16_t hash_overflow_or_bucket = 1 << 0 | 1 << 1;
constexpr std::uint16_t hash_has_dead = 1 << 7;
constexpr std::uint16_t gist_deleted = 1 << 1;
constexpr std::uint16_t gist_has_garbage = 1 << 4;
constexpr std::uint16_t spgist_meta = 1 << 0;
constexpr std::size_t spgist_cache_offset = 28; // behind the header and the magic number
constexpr std::size_t spgist_cache_bytes = 64;
constexpr std::uint16_t brin_meta_page = 0xf091;
constexpr std::uint16_t brin_regular_page = 0xf093;
constexpr std::uint16_t brin_evacuated = 1 << 0;

class MaskedPage {
  public:
    MaskedPage(MutableByteView page, const PageHeader& header) : page_(page), header_(header) {}

    void mask() {
        put<std::uint16_t>(checksum_offset, 0);
        clear(flags_offset, has_free_lines | page_full);
        put<std::uint32_t>(prune_xid_offset, 0);
        switch (page_.size() - header_.special) {
        case 0:
            mask_heap();
            return;
        case wide_special:
            mask_wide();
            return;
        case narrow_special:
            mask_narrow();
            return;
        default:
            return;
        }
    }

  private:
    template <typename T>
    T get(std::size_t at) const {
        return load_little<T>(page_.data() + at);
    }
    template <typename T>
    void put(std::size_t at, T value) {
        store_little<T>(page_.data() + at, value);
    }
    void clear(std::size_t at, std::uint16_t bits) {
        put<std::uint16_t>(at, static_cast<std::uint16_t>(get<std::uint16_t>(at) & ~bits));
    }
    std::size_t pointers_end() const {
        if (header_.lower < page_header_bytes) return page_header_bytes;
        return header_.lower - (header_.lower - page_header_bytes) % line_pointer_bytes;
    }

    void mask_heap() {
        for (std::size_t at = page_header_bytes; at < pointers_end(); at += line_pointer_bytes) {
            const auto pointer = get<std::uint32_t>(at);
            const std::size_t offset = pointer & 0x7fff;
            const std::size_t length = pointer >> 17;
            const bool has_tuple = (pointer >> 15 & 3) == lp_normal && length >= least_tuple_bytes &&
                                   offset >= header_.upper && offset + length <= page_.size();
            if (!has_tuple) continue;
            const auto mask = get<std::uint16_t>(offset + infomask_offset);
            const bool frozen = (mask & xmin_hints) == xmin_hints;
            clear(offset + infomask_offset,
                  static_cast<std::uint16_t>(frozen ? xmax_hints : xmin_hints | xmax_hints));
        }
    }

    // An item of an index that is known to be dead keeps its place and length.
    void revive_items() {
        for (std::size_t at = page_header_bytes; at < pointers_end(); at += line_pointer_bytes) {
            const auto pointer = get<std::uint32_t>(at);
            const bool dead_in_place = (pointer >> 15 & 3) == lp_dead && pointer >> 17 != 0;
            if (dead_in_place) put<std::uint32_t>(at, (pointer & ~(3U << 15)) | lp_normal << 15);
        }
    }

    // The last four bytes are flags and what tells the access methods apart: a number that PostgreSQL keeps
    // free of the numbers of b-tree vacuums. Meta pages and deleted ones have other things than line pointers
    // below `lower`.
    void mask_wide() {
        const std::size_t flags_at = page_.size() - 4;
        const std::size_t mark_at = page_.size() - 2;
        const auto flags = get<std::uint16_t>(flags_at);
        const auto mark = get<std::uint16_t>(mark_at);
        if (mark <= highest_btree_cycle) {
            if ((flags & btree_deleted_or_meta) == 0) revive_items();
            clear(flags_at, btree_has_garbage);
            put<std::uint16_t>(mark_at, 0);
        } else if (mark == hash_page_id) {
            if ((flags & hash_overflow_or_bucket) != 0) revive_items();
            clear(flags_at, hash_has_dead);
        } else if (mark == gist_page_id) {
            if ((flags & gist_deleted) == 0) revive_items();
            clear(flags_at, gist_has_garbage);
        }
    }

    void mask_narrow() {
        const auto mark = get<std::uint16_t>(page_.size() - 2);
        if (mark >= brin_meta_page && mark <= brin_regular_page) {
            clear(page_.size() - 4, brin_evacuated);
        } else if (mark == spgist_page_id && (get<std::uint16_t>(header_.special) & spgist_meta) != 0) {
            std::ranges::fill(page_.subspan(spgist_cache_offset, spgist_cache_bytes), Byte{0});
            put<std::uint16_t>(lower_offset, 0);
        }
    }

    MutableByteView page_;
    PageHeader header_;
};

} // namespace

void mask_hint_bits(MutableByteView page) {
    if (judge_page(page, 0, {}).state != PageState::good) return;
    MaskedPage(page, read_page_header(page)).mask();
}

bool equal_but_hint_bits(ByteView a, ByteView b) {
    if (a.size() != b.size()) return false;
    if (std::ranges::equal(a, b)) return true;
    Bytes masked_a(a.begin(), a.end());
    Bytes masked_b(b.begin(), b.end());
    mask_hint_bits(masked_a);
    mask_hint_bits(masked_b);
    return masked_a == masked_b;
}

bool may_have_changed_since(ByteView then, ByteView now, Lsn since) {
    if (std::ranges::all_of(now, [](Byte byte) { return byte == 0; })) return true;
    const PageHeader header = read_page_header(now);
    if (header.lsn > since) return true;
    if (then.size() != now.size() || (header.flags & all_visible) == 0) return false;
    Bytes marked(then.begin(), then.end());
    std::memcpy(marked.data() + flags_offset, now.data() + flags_offset, sizeof header.flags);
    return equal_but_hint_bits(marked, now);
}

} // namespace holdfast::postgres
