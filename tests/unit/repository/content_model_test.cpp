// Files of three sizes through many random changes, backups, interruptions and collections; every version of
// them must come back, byte for byte and hole for hole.
//
// HOLDFAST_MODEL_SEED=n replays one seed, HOLDFAST_MODEL_SEEDS=n tries the first n.

#include "repository/content/content_reader.h"
#include "repository/node/directory_cursor.h"
#include "repository/node/file_map_node.h"
#include "repository/protocol/collector.h"
#include "repository/protocol/snapshot_list.h"
#include "support/content_repository.h"
#include "support/sparse_content.h"

#include <array>
#include <cstdlib>

#include <gtest/gtest.h>

namespace holdfast {
namespace {

using test::CollectingSink;
using test::ContentRepository;
using test::SparseContent;
using test::SparseSource;

// The largest file lies around the ends of its segments, and is a hole in between, so that it is quick.
constexpr std::uint64_t most_data_bytes = 6u << 20;
constexpr std::uint64_t largest_size = 3 * segment_bytes + (1u << 20);

struct Version {
    std::array<SparseContent, 3> files; // small, chunked, segmented
};
constexpr std::array<const char*, 3> names{"a-small", "b-chunked", "c-segmented"};

class ContentModel {
  public:
    explicit ContentModel(std::uint64_t seed) : files_(seed), random_(files_.random) {
        now_.files[0] = fresh(1 + random_.below(300'000));
        now_.files[1] = fresh(600'000 + random_.below(2'000'000));
        now_.files[2] = SparseContent::hole(segmented_file_bytes + random_.below(segmented_file_bytes))
                            .replaced(0, 1u << 20, fresh(1u << 20));
    }

    void step() {
        if (random_.below(8) != 0) {
            for (std::uint64_t changes = random_.below(4); changes-- > 0;) change(random_.below(3));
        }
        if (random_.below(5) == 0) interrupted_backup();
        back_up();
        if (random_.below(6) == 0) forget_and_collect();
        if (random_.below(4) == 0) files_.reopen();
        check_all();
    }

  private:
    // Some of it compresses, some is zeros, some has been seen before.
    SparseContent fresh(std::uint64_t length) {
        Bytes bytes(length);
        switch (random_.below(5)) {
        case 0:
            break; // zeros that are no hole
        case 1:
            SeededRandom(random_.below(3)).fill(bytes);
            break;
        case 2:
            for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<Byte>(i / 1000 % 250);
            [[fallthrough]];
        default:
            SeededRandom(random_.u64()).fill(MutableByteView(bytes).first(bytes.size() / 2));
            if (random_.below(2) == 0) SeededRandom(random_.u64()).fill(bytes);
        }
        return SparseContent::of(std::move(bytes));
    }

    // A place where things happen: near the start, near the ends of segments, near the end, sometimes
    // anywhere.
    std::uint64_t place(const SparseContent& file) {
        const std::uint64_t size = std::max<std::uint64_t>(file.size(), 1);
        std::uint64_t at = 0;
        switch (random_.below(4)) {
        case 0:
            at = random_.below(std::min<std::uint64_t>(size, 2u << 20));
            break;
        case 1:
            at = size - 1 - random_.below(std::min<std::uint64_t>(size, 300'000));
            break;
        case 2: {
            const std::uint64_t end = (1 + random_.below(3)) * segment_bytes - (1u << 19);
            at = end + random_.below(1u << 20);
            break;
        }
        default:
            at = random_.below(size);
        }
        return std::min(at, size - 1);
    }
    // Mostly whole pages or blocks, as databases and file systems have them.
    std::uint64_t align(std::uint64_t value) {
        const std::array<std::uint64_t, 4> units{page_bytes, page_bytes, 4096, 1};
        const std::uint64_t unit = units[random_.below(4)];
        return value / unit * unit;
    }
    std::uint64_t length() {
        const std::array<std::uint64_t, 4> most{page_bytes, 60'000, 300'000, 2'500'000};
        return 1 + random_.below(most[random_.below(4)]);
    }

    void change(std::uint64_t which) {
        SparseContent& file = now_.files[which];
        const std::uint64_t at = align(place(file));
        const std::uint64_t many = length();
        const std::uint64_t end = std::min(at + many, file.size());
        switch (random_.below(11)) {
        case 0:
        case 1: // scattered pages
            for (std::uint64_t pages = random_.below(40); pages-- > 0;) {
                const std::uint64_t page = place(file) / page_bytes * page_bytes;
                if (page + page_bytes <= file.size())
                    file = file.replaced(page, page + page_bytes, fresh(page_bytes));
            }
            break;
        case 2:
            file = file.replaced(at, end, fresh(std::max<std::uint64_t>(end - at, 1)));
            break;
        case 3: // inserted
            file = file.replaced(at, at, fresh(align(many) + 1));
            break;
        case 4: // deleted
            file = file.slice(0, at).then(file.slice(end, file.size()));
            break;
        case 5:
            file = file.slice(0, random_.below(3) == 0 ? at : std::max(at, file.size() / 2));
            break;
        case 6: // grows by a hole
            file = file.then(SparseContent::hole(which == 2 ? align(random_.below(segment_bytes)) : many));
            break;
        case 7: // grows by data
            file = file.then(fresh(many));
            break;
        case 8: // punched
            file = file.replaced(at, end, SparseContent::hole(end - std::min(at, end)));
            break;
        case 9: // a large hole is punched, or all is replaced
            if (random_.below(2) == 0) {
                file = file.replaced(at, file.size(), SparseContent::hole(file.size() - at));
            } else {
                file = fresh(1 + random_.below(which == 0 ? 400'000 : 2'000'000))
                           .then(SparseContent::hole(which == 2 ? segmented_file_bytes : 0));
            }
            break;
        default: // a part is copied elsewhere
            file = file.replaced(align(place(file)), align(place(file)), file.slice(at, end));
        }
        if (file.size() > largest_size) file = file.slice(0, largest_size);
        if (file.data_bytes() > most_data_bytes) {
            file = file.slice(file.size() - file.size() / 4, file.size())
                       .then(SparseContent::hole(file.size() - file.size() / 4));
        }
        if (random_.below(3) == 0) mode_ = static_cast<SplitMode>(random_.below(3));
    }

    std::unique_ptr<BackupRun> begin() {
        BackupRunSettings settings = ContentRepository::run_settings();
        settings.pipeline.pack_bytes = 200'000 + random_.below(4'000'000);
        return files_.begin(settings);
    }
    static NodeRef root(BackupRun& run, const std::vector<TreeEntry>& entries) {
        return ContentRepository::root_of(run, entries);
    }
    // What earlier trees have of a file, as a capture chooses from it: a whole version before a part.
    struct Earlier {
        std::optional<TreeEntry> whole;
        std::optional<TreeEntry> part;
        const TreeEntry* base() const { return whole ? &*whole : part ? &*part : nullptr; }
    };
    Earlier before(BackupRun& run, std::size_t which) {
        Earlier earlier;
        for (const NodeRef& tree : run.previous_roots()) {
            std::optional<TreeEntry> entry = find_path(files_.repository->nodes(), tree, names[which]);
            if (!entry) continue;
            auto& place = (entry->flags & entry_flag::incomplete) != 0 ? earlier.part : earlier.whole;
            if (!place) place = std::move(entry);
        }
        return earlier;
    }
    FileWriteOptions options_for(const Earlier& earlier, std::size_t which) {
        FileWriteOptions options;
        options.mode = mode_;
        // Whether the file has changed since the interruption shows in its times.
        if (earlier.part && unchanged_since_interruption_[which]) options.trusted = &*earlier.part;
        return options;
    }
    static TreeEntry entry_of(std::size_t which, FileContentResult result) {
        return ContentRepository::entry_of(names[which], std::move(result));
    }

    void back_up() {
        const std::unique_ptr<BackupRun> run = begin();
        std::vector<TreeEntry> entries;
        for (std::size_t which = 0; which < names.size(); ++which) {
            const Earlier earlier = before(*run, which);
            SparseSource source(now_.files[which]);
            if (random_.below(12) == 0) source.claim_size(now_.files[which].size() + length());
            FileWriteOptions options = options_for(earlier, which);
            options.segment_done = [&](const std::function<FileContentResult()>& so_far) {
                if (random_.below(3) == 0) checkpoint(*run, entries, which, so_far());
            };
            FileContentResult result = run->files().write(source, earlier.base(), options);
            ASSERT_EQ(result.size_bytes, now_.files[which].size());
            entries.push_back(entry_of(which, std::move(result)));
        }
        const BackupRunReport report = run->commit(root(*run, entries), {}, SnapshotState::complete);
        versions_[report.snapshot.id] = {report.snapshot, now_};
        unchanged_since_interruption_ = {};
    }

    void checkpoint(BackupRun& run, std::vector<TreeEntry> entries, std::size_t which,
                    FileContentResult part) {
        TreeEntry unfinished = entry_of(which, std::move(part));
        unfinished.flags |= entry_flag::incomplete;
        entries.push_back(unfinished);
        run.save_checkpoint(root(run, entries));
    }

    // Ends somewhere, with or without a checkpoint of where it was. The files may change before the next one.
    void interrupted_backup() {
        const std::unique_ptr<BackupRun> run = begin();
        std::vector<TreeEntry> entries;
        std::uint64_t reads = random_.below(12);
        for (std::size_t which = 0; which < names.size(); ++which) {
            const Earlier earlier = before(*run, which);
            SparseSource source(now_.files[which], reads);
            FileWriteOptions options = options_for(earlier, which);
            options.segment_done = [&](const std::function<FileContentResult()>& so_far) {
                if (random_.below(2) != 0) return;
                checkpoint(*run, entries, which, so_far());
                unchanged_since_interruption_[which] = true;
            };
            try {
                entries.push_back(entry_of(which, run->files().write(source, earlier.base(), options)));
            } catch (const Error& error) {
                if (error.code() != ErrorCode::cancelled) throw;
                break;
            }
            if (random_.below(3) == 0) run->save_checkpoint(root(*run, entries));
        }
        if (random_.below(2) == 0) run->end_early(root(*run, entries));
        if (random_.below(2) == 0) {
            // Same size, other bytes: what was trusted must not be.
            const std::size_t which = random_.below(3);
            unchanged_since_interruption_[which] = false;
            change(which);
        }
    }

    void forget_and_collect() {
        if (versions_.size() < 3) return;
        auto chosen = versions_.begin();
        std::advance(chosen, static_cast<std::ptrdiff_t>(random_.below(versions_.size())));
        forget_snapshot(files_.repository->context(), chosen->first, false);
        versions_.erase(chosen);
        files_.clock.advance(std::chrono::hours(1));
        CollectorSettings settings;
        settings.patience = std::chrono::minutes(30);
        settings.keep_checkpoints = std::chrono::hours(24 * random_.below(2));
        settings.beat_interval = Duration::zero();
        settings.tolerated_dead_part = 0.05;
        settings.pack_bytes = 500'000;
        settings.temporary_directory = files_.scratch.path().string();
        Progress progress;
        const CollectorReport report = collect_garbage(files_.repository->context(), settings, progress);
        ASSERT_TRUE(report.problems.empty()) << report.problems.front();
        ASSERT_FALSE(report.postponed);
    }

    void check_all() {
        ContentReaderSettings settings;
        settings.workers = 1;
        ContentReader reader(files_.repository->packs(), settings);
        struct Restored {
            std::shared_ptr<CollectingSink> sink;
            const SparseContent& content;
            std::uint64_t hole_unit;
            std::string name;
        };
        std::vector<Restored> all;
        for (const auto& [id, version] : versions_) {
            for (std::size_t which = 0; which < names.size(); ++which) {
                const std::optional<TreeEntry> entry =
                    find_path(files_.repository->nodes(), version.first.root, names[which]);
                ASSERT_TRUE(entry.has_value());
                ASSERT_EQ(entry->size, version.second.files[which].size());
                const auto sink = std::make_shared<CollectingSink>();
                const bool pages = std::holds_alternative<SegmentGroups>(entry->content);
                all.push_back({sink, version.second.files[which], pages ? page_bytes : 1, names[which]});
                reader.begin_file(sink);
                for_each_extent(files_.repository->nodes(), *entry,
                                [&](const Extents& extents) { reader.add(extents); });
                reader.finish_file();
            }
        }
        reader.wait();
        for (const Restored& file : all)
            EXPECT_EQ(file.sink->difference(file.content, file.hole_unit), "") << file.name;
    }

    ContentRepository files_;
    SeededRandom& random_;
    Version now_;
    SplitMode mode_ = SplitMode::automatic;
    std::map<RunId, std::pair<Snapshot, Version>> versions_;
    std::array<bool, 3> unchanged_since_interruption_{};
};

std::uint64_t number_from(const char* variable, std::uint64_t otherwise) {
    const char* text = std::getenv(variable);
    return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

// False when something did not come back; what, is told.
bool run_seed(std::uint64_t seed) {
    SCOPED_TRACE(fmt::format("replay with HOLDFAST_MODEL_SEED={}", seed));
    ContentModel model(seed);
    for (int step = 0; step < 12; ++step) {
        SCOPED_TRACE(fmt::format("step {}", step));
        try {
            model.step();
        } catch (const Error& error) {
            ADD_FAILURE() << error.message();
        }
        if (testing::Test::HasFailure()) return false;
    }
    return true;
}

TEST(ContentModelTest, EveryVersionOfEveryFileComesBack) {
    if (const std::uint64_t seed = number_from("HOLDFAST_MODEL_SEED", 0)) {
        EXPECT_TRUE(run_seed(seed));
        return;
    }
    const std::uint64_t seeds = number_from("HOLDFAST_MODEL_SEEDS", 12);
    for (std::uint64_t seed = 1; seed <= seeds; ++seed) ASSERT_TRUE(run_seed(seed));
}

} // namespace
} // namespace holdfast
