// Large files of which only the pages that may have changed are read: what comes of it is what a full read
// makes, node for node.
//
// HOLDFAST_MODEL_SEED=n replays one seed, HOLDFAST_MODEL_SEEDS=n tries the first n.

#include "repository/content/content_reader.h"
#include "repository/content/known_changes.h"
#include "repository/node/directory_cursor.h"
#include "repository/node/file_map_node.h"
#include "support/content_repository.h"
#include "support/sparse_content.h"

#include <algorithm>
#include <cstdlib>
#include <map>

#include <gtest/gtest.h>

namespace holdfast {
namespace {

using test::ContentRepository;
using test::SparseContent;
using test::SparseSource;

constexpr const char* name = "relation";

SparseContent random_bytes(std::uint64_t seed, std::uint64_t length) {
    Bytes bytes(length);
    SeededRandom(seed).fill(MutableByteView(bytes).first(length / 2)); // half of it compresses
    return SparseContent::of(std::move(bytes));
}

TEST(KnownChangesTest, PagesOfRangesAndEnds) {
    const std::vector<PageRange> ranges{{2, 3}, {9, 1}};
    const KnownChanges same(ranges, 20 * page_bytes + 5, 20 * page_bytes + 5);
    EXPECT_FALSE(same.any(0, 2));
    EXPECT_TRUE(same.any(0, 3));
    EXPECT_TRUE(same.any(4, 1));
    EXPECT_FALSE(same.any(5, 4));
    EXPECT_TRUE(same.any(8, 2));
    EXPECT_FALSE(same.any(10, 11));
    std::vector<bool> pages(8, false);
    same.mark(3, pages);
    EXPECT_EQ(pages, (std::vector<bool>{true, true, false, false, false, false, true, false}));

    EXPECT_TRUE(KnownChanges({}, 20 * page_bytes + 5, 20 * page_bytes + 6).any(20, 1)) << "the short page";
    EXPECT_FALSE(KnownChanges({}, 20 * page_bytes, 25 * page_bytes).any(0, 20));
    EXPECT_TRUE(KnownChanges({}, 20 * page_bytes, 25 * page_bytes).any(20, 1)) << "it grew";
    EXPECT_FALSE(KnownChanges({}, 20 * page_bytes, 15 * page_bytes).any(0, 15));
    EXPECT_TRUE(KnownChanges({}, 20 * page_bytes, 15 * page_bytes + 1).any(15, 1)) << "it was cut in a page";
}

// The pages in which `now` differs from `before`, as long as both have them.
std::vector<PageRange> difference(const SparseContent& before, const SparseContent& now) {
    const auto same = [&](std::uint64_t page) {
        const auto part = [&](const SparseContent& content) {
            return content.slice(page * page_bytes, (page + 1) * page_bytes);
        };
        const SparseContent a = part(before);
        const SparseContent b = part(now);
        return std::ranges::equal(a.pieces(), b.pieces(), [](const auto& left, const auto& right) {
            if (left.hole() != right.hole() || left.length != right.length) return false;
            return left.hole() || std::ranges::equal(left.view(), right.view());
        });
    };
    std::vector<PageRange> ranges;
    for (std::uint64_t page = 0; page < pages_of(std::min(before.size(), now.size())); ++page) {
        if (same(page)) continue;
        if (!ranges.empty() && ranges.back().first + ranges.back().count == page) {
            ++ranges.back().count;
        } else {
            ranges.push_back({page, 1});
        }
    }
    return ranges;
}

std::uint64_t bytes_of(const std::vector<PageRange>& ranges) {
    std::uint64_t pages = 0;
    for (const PageRange& range : ranges) pages += range.count;
    return pages * page_bytes;
}

// One repository of two that go through the same.
class Side {
  public:
    explicit Side(std::uint64_t seed) : files(seed) {}
    // Becomes the same repository with the same runs to come, so that equal nodes lie in equal places.
    void copy(const Side& other) {
        MemoryStoreSettings settings;
        settings.capabilities.versions = false;
        settings.clock = &files.clock;
        files.memory = std::make_shared<MemoryStore>(settings);
        files.store = files.memory;
        for (const ObjectInfo& info : other.files.memory->list_all(""))
            files.memory->put(info.name, other.files.memory->get(info.name, {}, {}).value());
        files.reopen();
    }

    struct Result {
        TreeEntry entry;
        NodeRef root;
        std::uint64_t read = 0;
        std::uint64_t rewritten = 0;
        bool map_missing = false;
        std::uint64_t new_bytes = 0;
    };
    Result back_up(const SparseContent& content, SplitMode mode, const std::vector<PageRange>* changed) {
        BackupRunSettings settings = ContentRepository::run_settings();
        settings.pipeline.pack_bytes = 1u << 30; // where packs end depends on how fast workers are
        const std::unique_ptr<BackupRun> run = files.begin(settings);
        std::optional<TreeEntry> before;
        if (run->parent()) before = find_path(run->nodes(), run->parent()->root, name);
        SparseSource source(content);
        FileWriteOptions options;
        options.mode = mode;
        options.changed = changed;
        FileContentResult written = run->files().write(source, before ? &*before : nullptr, options);
        Result result;
        result.read = source.bytes_read();
        result.rewritten = written.rewritten_bytes;
        result.map_missing = written.map_missing;
        EXPECT_EQ(written.read_bytes, result.read);
        result.entry = ContentRepository::entry_of(name, std::move(written));
        result.root = ContentRepository::root_of(*run, {result.entry});
        result.new_bytes = run->writer().totals().new_bytes;
        run->commit(result.root, {}, SnapshotState::complete);
        return result;
    }
    std::string restored_difference(const TreeEntry& entry, const SparseContent& content) {
        const auto sink = std::make_shared<test::CollectingSink>();
        ContentReader reader(files.repository->packs(), {});
        reader.begin_file(sink);
        for_each_extent(files.repository->nodes(), entry,
                        [&](const Extents& extents) { reader.add(extents); });
        reader.finish_file();
        reader.wait();
        return sink->difference(content, page_bytes);
    }

    ContentRepository files;
};

class TwoSides {
  public:
    explicit TwoSides(std::uint64_t seed) : random_(seed), full_(seed), known_(seed) {
        known_.copy(full_);
        now_ = random_bytes(random_.u64(), 3u << 20)
                   .then(SparseContent::hole(segment_bytes - (4u << 20)))
                   .then(random_bytes(random_.u64(), 4u << 20))
                   .then(SparseContent::hole(random_.below(3) * segment_bytes));
        if (random_.below(2) == 0) now_ = now_.then(random_bytes(random_.u64(), segment_bytes));
        step();
    }
    bool rewrote() const { return rewrote_; }

    void step() {
        const SparseContent before = now_;
        if (began_) {
            for (std::uint64_t changes = random_.below(4); changes-- > 0;) change();
        }
        std::vector<PageRange> changed = difference(before, now_);
        if (random_.below(2) == 0) widen(changed);
        const Side::Result full = full_.back_up(now_, mode_, nullptr);
        const Side::Result known = known_.back_up(now_, mode_, &changed);
        EXPECT_EQ(known.entry.digest.hex(), full.entry.digest.hex());
        EXPECT_EQ(known.entry.content, full.entry.content);
        EXPECT_EQ(known.entry, full.entry);
        EXPECT_EQ(known.root, full.root);
        EXPECT_EQ(known.rewritten, full.rewritten);
        EXPECT_EQ(known.new_bytes, full.new_bytes);
        EXPECT_EQ(known.entry.size, now_.size());
        EXPECT_EQ(known.map_missing, !began_ || before.size() < segmented_file_bytes);
        EXPECT_EQ(known_.restored_difference(known.entry, now_), "");
        if (!known.map_missing) {
            // Beyond what was named: what grew, what was rewritten, and what lay in frames that the budget
            // did not allow to leave behind.
            const std::uint64_t grown = now_.size() > before.size() ? now_.size() - before.size() : 0;
            const std::uint64_t named = bytes_of(changed) + grown + 2 * page_bytes;
            EXPECT_LE(known.read, named + known.rewritten + (1u << 20));
            EXPECT_LE(known.read, full.read);
        }
        rewrote_ = rewrote_ || known.rewritten > 0;
        began_ = true;
    }

  private:
    void change() {
        const std::uint64_t size = now_.size();
        const std::uint64_t page = random_.below(size / page_bytes);
        const std::uint64_t at = page * page_bytes;
        switch (random_.below(8)) {
        case 0: // the end goes
            now_ = now_.slice(0, std::max<std::uint64_t>(size - std::min(size, random_.below(20u << 20)),
                                                         segmented_file_bytes));
            break;
        case 1:
            now_ = now_.then(random_bytes(random_.u64(), random_.below(3) * 1'000'000 + 100));
            break;
        case 2:
            now_ = now_.then(SparseContent::hole(random_.below(segment_bytes)));
            break;
        case 3: { // a stretch
            const std::uint64_t end = std::min(size, at + random_.below(3u << 20) + 1);
            now_ = now_.replaced(at, end, random_bytes(random_.u64(), end - at));
            break;
        }
        case 4: { // punched
            const std::uint64_t end = std::min(size, at + random_.below(2u << 20) / page_bytes * page_bytes);
            if (end > at) now_ = now_.replaced(at, end, SparseContent::hole(end - at));
            break;
        }
        default: // scattered pages, mostly where there is data
            for (std::uint64_t pages = random_.below(150); pages-- > 0;) {
                std::uint64_t place = random_.below(3u << 20);
                if (random_.below(3) != 0) place = segment_bytes - (1u << 20) + random_.below(4u << 20);
                place = place / page_bytes * page_bytes;
                if (place + page_bytes <= size)
                    now_ = now_.replaced(place, place + page_bytes, random_bytes(random_.u64(), page_bytes));
            }
        }
        if (random_.below(6) == 0) mode_ = static_cast<SplitMode>(random_.below(3));
        if (now_.size() > 4 * segment_bytes) now_ = now_.slice(0, 2 * segment_bytes);
    }
    // More is named than has changed.
    void widen(std::vector<PageRange>& ranges) {
        std::vector<PageRange> wider;
        for (PageRange range : ranges) {
            range.count += random_.below(20);
            if (!wider.empty() && wider.back().first + wider.back().count >= range.first) {
                wider.back().count =
                    std::max(wider.back().first + wider.back().count, range.first + range.count) -
                    wider.back().first;
            } else {
                wider.push_back(range);
            }
        }
        ranges = std::move(wider);
    }

    SeededRandom random_;
    Side full_;
    Side known_;
    SparseContent now_;
    SplitMode mode_ = SplitMode::pages;
    bool began_ = false;
    bool rewrote_ = false;
};

std::uint64_t number_from(const char* variable, std::uint64_t otherwise) {
    const char* text = std::getenv(variable);
    return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

TEST(KnownChangesModelTest, MakesWhatAFullReadMakes) {
    const std::uint64_t only = number_from("HOLDFAST_MODEL_SEED", 0);
    const std::uint64_t first = only != 0 ? only : 1;
    const std::uint64_t last = only != 0 ? only : number_from("HOLDFAST_MODEL_SEEDS", 6);
    bool rewrote = false;
    for (std::uint64_t seed = first; seed <= last; ++seed) {
        SCOPED_TRACE(fmt::format("replay with HOLDFAST_MODEL_SEED={}", seed));
        TwoSides sides(seed);
        for (int step = 0; step < 12; ++step) {
            SCOPED_TRACE(fmt::format("step {}", step));
            sides.step();
            if (testing::Test::HasFailure()) return;
        }
        rewrote = rewrote || sides.rewrote();
    }
    EXPECT_TRUE(rewrote || only != 0) << "no frame was left behind, so that was not tried";
}

TEST(KnownChangesTest, ReadsOnlyWhatIsNamed) {
    Side side(3);
    SparseContent content = random_bytes(1, 2 * segment_bytes + (3u << 20));
    const std::vector<PageRange> none;
    EXPECT_TRUE(side.back_up(content, SplitMode::pages, &none).map_missing) << "there was nothing before";
    const Side::Result same = side.back_up(content, SplitMode::pages, &none);
    EXPECT_EQ(same.read, 0U);
    EXPECT_FALSE(same.map_missing);

    for (const std::uint64_t page : {5U, 8190U, 8191U, 8192U, 16600U})
        content =
            content.replaced(page * page_bytes, (page + 1) * page_bytes, random_bytes(page, page_bytes));
    const std::vector<PageRange> five{{5, 1}, {8190, 3}, {16600, 1}};
    const Side::Result changed = side.back_up(content, SplitMode::pages, &five);
    EXPECT_EQ(changed.read, 5 * page_bytes);
    EXPECT_EQ(changed.new_bytes, 5 * page_bytes);
    EXPECT_EQ(side.restored_difference(changed.entry, content), "");
    // Read from end to end, it is the same file.
    EXPECT_EQ(side.back_up(content, SplitMode::pages, nullptr).entry.digest, changed.entry.digest);

    content = content.slice(0, segment_bytes + 3 * page_bytes);
    const Side::Result shorter = side.back_up(content, SplitMode::pages, &none);
    EXPECT_EQ(shorter.read, 0U);
    EXPECT_EQ(side.restored_difference(shorter.entry, content), "");
    content = content.then(random_bytes(7, 40 * page_bytes));
    const Side::Result longer = side.back_up(content, SplitMode::pages, &none);
    EXPECT_EQ(longer.read, 40 * page_bytes);
    EXPECT_EQ(side.restored_difference(longer.entry, content), "");
}

TEST(KnownChangesTest, ReadsEverythingWithoutAMapThatCanBeUsed) {
    Side side(4);
    const SparseContent content = random_bytes(1, segment_bytes + (3u << 20));
    const std::vector<PageRange> none;
    TreeEntry before = side.back_up(content, SplitMode::pages, &none).entry;
    std::get<SegmentGroups>(before.content).front().id.bytes[0] ^= 1; // no node has this id
    const std::unique_ptr<BackupRun> run = side.files.begin();
    SparseSource source(content);
    FileWriteOptions options;
    options.mode = SplitMode::pages;
    options.changed = &none;
    const FileContentResult result = run->files().write(source, &before, options);
    EXPECT_TRUE(result.map_missing);
    EXPECT_EQ(result.read_bytes, content.size());
    EXPECT_EQ(result.digest, before.digest);
}

} // namespace
} // namespace holdfast
