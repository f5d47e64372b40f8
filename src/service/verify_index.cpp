// Index segments: who wrote them, whether every part opens, and what they name that is gone.

#include "base/error.h"
#include "repository/index/segment_merge.h"
#include "repository/index/segment_reader.h"
#include "repository/index/spool.h"
#include "repository/object.h"
#include "service/verification.h"
#include "service/view_source.h"

#include <algorithm>

#include <fmt/format.h>

namespace holdfast {

namespace {

constexpr std::uint64_t piece_bytes = std::uint64_t{8} << 20;
constexpr std::size_t spool_memory_bytes = std::size_t{16} << 20;
constexpr unsigned most_listings = 4; // of the index, while segments go

} // namespace

// Beside a running backup segments come and go: what took the place of one that went is in a later listing.
void Verification::check_index() {
    next_phase("checking the index");
    bool all_told = true; // of those that could be read, and those that went
    bool one_went = false;
    std::size_t total = 0;
    const auto check = [&](const std::pair<std::string, std::uint64_t>& segment) {
        const auto& [name, size_bytes] = segment;
        if (stop_.stop_requested()) throw Error(ErrorCode::cancelled, "verifying was stopped");
        try {
            one_went = !check_segment(name, size_bytes) || one_went;
        } catch (const Error& error) {
            all_told = false;
            findings_.take(
                error.code() == ErrorCode::wrong_key
                    ? error
                    : error.with_hint(
                          "no snapshot needs it: run 'holdfast repair index', or let the next backups store "
                          "again what it named"),
                name);
        }
        progress_.add_done(size_bytes, 1);
    };
    std::vector<std::pair<std::string, std::uint64_t>> unread = segments_;
    for (unsigned listings = 1;; ++listings) {
        total += unread.size();
        progress_.set_total(0, total);
        one_went = false;
        std::ranges::for_each(unread, check);
        if (!one_went || not_indexed_.empty() || listings == most_listings) break;
        unread.clear();
        for (const ObjectInfo& object : repository_.store().list_all(std::string(index_prefix))) {
            const auto parsed = parse_name(object.name);
            if (parsed && parsed->kind == NameKind::index_segment &&
                !std::ranges::binary_search(segments_, object.name, {},
                                            &std::pair<std::string, std::uint64_t>::first))
                unread.emplace_back(object.name, object.size_bytes);
        }
        segments_.insert(segments_.end(), unread.begin(), unread.end());
        std::ranges::sort(segments_);
    }
    if (one_went && !not_indexed_.empty()) {
        findings_.unchecked.add(std::string(index_prefix),
                                "whether any segment of the index is missing: backups or a collection "
                                "exchanged segments all the while",
                                "verify again when fewer are under way");
    } else if (all_told) {
        find_missing_segments();
    }
}

// Segments can be larger than the memory: beyond the first 16 MiB they wait in a file. False when it is gone.
bool Verification::check_segment(const std::string& name, std::uint64_t size_bytes) {
    Spool spool(repository_.directories().temporary, spool_memory_bytes);
    for (std::uint64_t offset = 0; offset < size_bytes; offset += piece_bytes) {
        const auto piece = repository_.store().get(name, {offset, piece_bytes}, {});
        if (!piece) return false; // removed since it was listed: a repair or a collection replaced it
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
        not_indexed_.erase(pack);
    }
    SegmentCursor cursor(reader, std::size_t{1} << 20);
    std::optional<IndexEntry> last;
    for (std::size_t equal = 0; auto entry = cursor.next(); last = entry) {
        ++report_.index_entries;
        equal = last && last->id == entry->id ? equal + 1 : 1;
        if (equal == SegmentMergeOptions{}.most_locations) crowded_blobs_.insert(entry->id);
    }
    return true;
}

// Every run names the blobs of its packs in segments before it commits. One name for each run: which segments
// there were is not known any more.
void Verification::find_missing_segments() {
    for (const auto& [pack, blob] : not_indexed_) {
        if (crowded_blobs_.contains(blob))
            continue; // where else it lies is left out when segments are joined
        const auto snapshot = std::ranges::find(list_.snapshots, pack.run, &Snapshot::id);
        const DomainId domain =
            domain_id(snapshot != list_.snapshots.end() ? snapshot->domain : repository_.keys().domain());
        std::uint32_t number = 0;
        const auto is_there = [&](const std::string& name) {
            return std::ranges::binary_search(segments_, name, {},
                                              &std::pair<std::string, std::uint64_t>::first);
        };
        while (is_there(index_segment_name(domain, pack.run, number))) ++number;
        findings_.damage(index_segment_name(domain, pack.run, number),
                         fmt::format("it, or one that it was joined with, is gone: no index segment names "
                                     "what is in {}; no snapshot needs it, but backups store that again",
                                     pack.name()),
                         "run 'holdfast repair index'");
    }
}

} // namespace holdfast
