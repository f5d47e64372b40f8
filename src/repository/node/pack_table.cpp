#include "repository/node/pack_table.h"

#include "base/error.h"

#include <algorithm>
#include <limits>

namespace holdfast {

namespace {

constexpr std::uint64_t u32_max = std::numeric_limits<std::uint32_t>::max();
constexpr std::size_t run_bytes = 16;
constexpr std::size_t smallest_pack_bytes = 4;
constexpr std::size_t smallest_extent_bytes = 5;

[[noreturn]] void defect(const char* what) { throw Error(ErrorCode::internal, what); }

bool fits_frame(std::uint64_t offset, std::uint64_t length) {
    return length > 0 && length <= max_frame_bytes && offset <= max_frame_bytes - length;
}

// Reads the mark of a hole if it is next, and otherwise leaves `in` where it is.
bool is_hole_mark(ByteReader& in) {
    ByteReader ahead = in;
    if (ahead.varint() != 0 || ahead.varint() != Extent::hole_frame) return false;
    if (ahead.varint() != 0) ahead.fail("a hole has an offset in a frame");
    in = ahead;
    return true;
}

// Whether two elements are equal; by sorting, so that a hostile table costs no quadratic time.
template <typename T>
bool has_duplicates(std::vector<T> values) {
    std::sort(values.begin(), values.end());
    return std::adjacent_find(values.begin(), values.end()) != values.end();
}

} // namespace

std::uint32_t PackTableWriter::index_of(const PackId& pack) {
    if (last_ && last_->first == pack) return last_->second;
    if (!is_pack_kind(pack.kind)) defect("a pack is of an unknown kind");
    const auto [place, added] = pack_index_.try_emplace(pack, static_cast<std::uint32_t>(packs_.size()));
    if (added) {
        const auto [run, run_added] =
            run_index_.try_emplace(pack.run, static_cast<std::uint32_t>(runs_.size()));
        if (run_added) runs_.push_back(pack.run);
        packs_.emplace_back(run->second, pack);
        packs_size_ += varint_size(run->second) + varint_size(pack.seq) + 2;
    }
    last_ = {pack, place->second};
    return place->second;
}

void PackTableWriter::location(ByteWriter& body, const Location& location) {
    if (!fits_frame(location.offset, location.length) || location.frame.frame == Extent::hole_frame)
        defect("a location is not inside a frame");
    body.varint(index_of(location.frame.pack));
    body.varint(location.frame.frame);
    body.varint(location.offset);
    body.varint(location.length);
}

void PackTableWriter::reference(ByteWriter& body, const NodeRef& reference) {
    if (reference.location.frame.pack.kind != metadata_pack) defect("a node is not in a metadata pack");
    body.fixed_bytes(reference.id);
    location(body, reference.location);
}

void PackTableWriter::extents(ByteWriter& body, const std::vector<Extent>& extents, std::uint64_t end,
                              bool holes) {
    body.varint(extents.size());
    std::uint64_t position = 0;
    for (const Extent& extent : extents) {
        if (extent.file_offset < position || extent.length == 0 || extent.file_offset > end ||
            extent.length > end - extent.file_offset)
            defect("extents overlap, are empty, or go beyond the end of the file");
        body.varint(extent.file_offset - position);
        body.varint(extent.length);
        position = extent.end();
        if (extent.is_hole()) {
            if (!holes) defect("a hole is marked where only overlays mark them");
            body.varint(0);
            body.varint(Extent::hole_frame);
            body.varint(0);
            continue;
        }
        if (!fits_frame(extent.frame_offset, extent.length)) defect("an extent is not inside a frame");
        if (extent.frame.pack.kind == metadata_pack) defect("an extent is in a metadata pack");
        body.varint(index_of(extent.frame.pack));
        body.varint(extent.frame.frame);
        body.varint(extent.frame_offset);
    }
}

std::size_t PackTableWriter::encoded_size() const {
    return 1 + varint_size(runs_.size()) + runs_.size() * run_bytes + varint_size(packs_.size()) +
           packs_size_;
}

void PackTableWriter::head(ByteWriter& out, NodeKind kind) const {
    out.u8(static_cast<std::uint8_t>(kind));
    out.varint(runs_.size());
    for (const RunId& run : runs_) out.fixed_bytes(run);
    out.varint(packs_.size());
    for (const auto& [run, pack] : packs_) {
        out.varint(run);
        out.varint(pack.seq);
        out.u8(pack.kind);
        out.u8(pack.cls);
    }
}

void PackTableWriter::clear() {
    runs_.clear();
    packs_.clear();
    run_index_.clear();
    pack_index_.clear();
    last_.reset();
    packs_size_ = 0;
}

PackTableReader::PackTableReader(ByteReader& in, NodeKind kind) {
    if (in.remaining() > max_node_bytes) in.fail("it is longer than a frame");
    if (in.u8() != static_cast<std::uint8_t>(kind)) in.fail("it is a node of another kind");
    std::vector<RunId> runs(in.varint_at_most(in.remaining() / run_bytes));
    for (RunId& run : runs) run = in.fixed_bytes<run_bytes>();
    packs_.resize(in.varint_at_most(in.remaining() / smallest_pack_bytes));
    std::size_t used_runs = 0;
    for (PackId& pack : packs_) {
        const std::uint64_t run = in.varint();
        if (run >= runs.size() || run > used_runs)
            in.fail("a pack names a run that is not in the table, or out of turn");
        if (run == used_runs) ++used_runs;
        pack.run = runs[run];
        pack.seq = static_cast<std::uint32_t>(in.varint_at_most(u32_max));
        const std::uint8_t pack_kind = in.u8();
        if (!is_pack_kind(pack_kind)) in.fail("a pack is of an unknown kind");
        pack.kind = pack_kind;
        pack.cls = in.u8();
    }
    if (used_runs != runs.size()) in.fail("a run is listed but not used");
    if (has_duplicates(std::move(runs))) in.fail("a run is listed twice");
    if (packs_.size() > 1 && has_duplicates(packs_)) in.fail("a pack is listed twice");
}

const PackId& PackTableReader::pack(ByteReader& in) {
    const std::uint64_t index = in.varint();
    if (index >= packs_.size() || index > used_) in.fail("a pack is not in the table, or out of turn");
    if (index == used_) ++used_;
    return packs_[index];
}

void PackTableReader::location(ByteReader& in, Location& location) {
    location.frame.pack = pack(in);
    location.frame.frame = static_cast<std::uint32_t>(in.varint_at_most(Extent::hole_frame - 1));
    location.offset = static_cast<std::uint32_t>(in.varint_at_most(max_frame_bytes));
    location.length = static_cast<std::uint32_t>(in.varint_at_most(max_frame_bytes));
    if (!fits_frame(location.offset, location.length)) in.fail("a location is not inside a frame");
}

void PackTableReader::reference(ByteReader& in, NodeRef& reference) {
    reference.id = in.fixed_bytes<24>();
    location(in, reference.location);
    if (reference.location.frame.pack.kind != metadata_pack) in.fail("a node is not in a metadata pack");
}

void PackTableReader::extents(ByteReader& in, std::vector<Extent>& extents, std::uint64_t end, bool holes) {
    extents.resize(in.varint_at_most(in.remaining() / smallest_extent_bytes));
    std::uint64_t position = 0;
    for (Extent& extent : extents) {
        extent.file_offset = position + in.varint_at_most(end - position);
        extent.length = in.varint_at_most(end - extent.file_offset);
        if (extent.length == 0) in.fail("an extent is empty");
        position = extent.end();
        // A hole's pack index is 0 whether or not there are packs, and does not count as using one.
        if (holes && is_hole_mark(in)) {
            extent = Extent::hole(extent.file_offset, extent.length);
            continue;
        }
        extent.frame.pack = pack(in);
        extent.frame.frame = static_cast<std::uint32_t>(in.varint_at_most(Extent::hole_frame - 1));
        extent.frame_offset = static_cast<std::uint32_t>(in.varint_at_most(max_frame_bytes));
        if (!fits_frame(extent.frame_offset, extent.length)) in.fail("an extent is not inside a frame");
        if (extent.frame.pack.kind == metadata_pack) in.fail("an extent is in a metadata pack");
    }
}

void PackTableReader::finish(const ByteReader& in) const {
    in.expect_end();
    if (used_ != packs_.size()) in.fail("a pack is listed but not used");
}

} // namespace holdfast
