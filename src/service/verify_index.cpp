// Index segments: who wrote them, whether every part opens, and what they name that is gone.

#include "base/error.h"
#include "repository/index/segment_reader.h"
#include "repository/index/spool.h"
#include "repository/object.h"
#include "service/verification.h"
#include "service/view_source.h"

namespace holdfast {

namespace {

constexpr std::uint64_t piece_bytes = std::uint64_t{8} << 20;
constexpr std::size_t spool_memory_bytes = std::size_t{16} << 20;

} // namespace

void Verification::check_index() {
    next_phase("checking the index");
    progress_.set_total(0, segments_.size());
    for (const auto& [name, size_bytes] : segments_) {
        if (stop_.stop_requested()) throw Error(ErrorCode::cancelled, "verifying was stopped");
        try {
            check_segment(name, size_bytes);
        } catch (const Error& error) {
            findings_.take(
                error.code() == ErrorCode::wrong_key
                    ? error
                    : error.with_hint(
                          "no snapshot needs it: run 'holdfast repair index', or let the next backups store "
                          "again what it named"),
                name);
        }
        progress_.add_done(size_bytes, 1);
    }
}

// Segments can be larger than the memory: beyond the first 16 MiB they wait in a file.
void Verification::check_segment(const std::string& name, std::uint64_t size_bytes) {
    Spool spool(repository_.directories().temporary, spool_memory_bytes);
    for (std::uint64_t offset = 0; offset < size_bytes; offset += piece_bytes) {
        const auto piece = repository_.store().get(name, {offset, piece_bytes}, {});
        if (!piece) return; // removed since it was listed: a repair or a collection replaced it
        spool.append(*piece);
    }
    ++report_.index_segments;
    const ObjectForm form = read_object_form(name, spool.view());
    context_->trust.require(name, form);
    const std::shared_ptr<const Secret> secret =
        repository_.keys().structure_secret_for(*form.header.envelope);
    SegmentReader reader(std::make_shared<ViewSource>(form.body, name),
                         {object_key(secret->view(), ObjectKind::index_segment, name), name});
    for (const PackId& pack : reader.packs()) {
        if (!listed_packs_.contains(pack) && !holders_.contains(pack)) ++report_.index_packs_gone;
    }
    SegmentCursor cursor(reader, std::size_t{1} << 20);
    while (cursor.next()) ++report_.index_entries;
}

} // namespace holdfast
