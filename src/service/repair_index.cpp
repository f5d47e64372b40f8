#include "service/repair_index.h"

#include "base/error.h"
#include "repository/index/segment_merge.h"
#include "repository/index/spool.h"
#include "repository/object.h"
#include "repository/protocol/protocol_object.h"
#include "repository/protocol/writer_session.h"
#include "service/lost_moves.h"
#include "service/view_source.h"

#include <algorithm>

#include <fmt/format.h>

namespace holdfast {

namespace {

constexpr std::size_t run_entries = 500'000;         // gathered in memory before they go to a file
constexpr std::uint64_t segment_entries = 1'000'000; // 40 MB, so that a segment can be signed in memory
constexpr std::size_t read_ahead_bytes = std::size_t{16} << 20;
constexpr std::uint64_t piece_bytes = std::uint64_t{8} << 20;
constexpr std::size_t most_problems = 1000;
constexpr Duration beat_interval = std::chrono::seconds(60);

// Sorted entries in a file of their own, encrypted as a segment that nobody else will ever read.
struct SortedRun {
    Spool file;
    std::shared_ptr<SegmentReader> reader;
};

class IndexRepair {
  public:
    IndexRepair(Repository& repository, Progress& progress, std::stop_token stop)
        : repository_(repository),
          progress_(progress),
          stop_(std::move(stop)),
          domain_(domain_id(repository.keys().domain())),
          run_(repository.keys().begin_run(repository.random())) {
        writer_options_.temporary_directory = repository.directories().temporary;
    }

    // Segments are listed before packs: every pack that one of them names is then in the listing of packs, so
    // that the new index has all that theirs had.
    RepairReport run() {
        session_ = WriterSession::begin(repository_.context(), run_, "repair of the index", beat_interval);
        try {
            const std::vector<std::string> old = list_names(repository_.store(), prefix());
            find_damaged(old);
            read_packs();
            write_segments();
            remove_old(old);
        } catch (const Error&) {
            end_after_failure();
            throw;
        }
        end_run();
        return std::move(report_);
    }

  private:
    std::string prefix() const { return std::string(index_prefix) + domain_.hex() + "/"; }

    void check_stop() const {
        if (stop_.stop_requested()) throw Error(ErrorCode::cancelled, "repairing the index was stopped");
    }

    void note(std::string problem) {
        if (report_.problems.size() < most_problems) report_.problems.push_back(std::move(problem));
    }

    void find_damaged(const std::vector<std::string>& names) {
        progress_.set_phase("reading the old index");
        progress_.set_total(0, names.size());
        for (const std::string& name : names) {
            check_stop();
            try {
                read_through(name);
            } catch (const Error& error) {
                if (error.code() == ErrorCode::wrong_key) continue; // of another holder of the domain
                if (error.code() != ErrorCode::corrupt && error.code() != ErrorCode::incompatible &&
                    error.code() != ErrorCode::access_denied) {
                    throw;
                }
                report_.damaged_segments.push_back(name);
            }
            progress_.add_done(0, 1);
        }
    }

    void read_through(const std::string& name) {
        Spool spool(writer_options_.temporary_directory, writer_options_.memory_limit_bytes);
        for (;;) {
            const auto piece = repository_.store().get(name, {spool.size(), piece_bytes}, {});
            if (!piece) return; // removed since it was listed
            spool.append(*piece);
            if (piece->size() < piece_bytes) break;
        }
        const ObjectForm form = read_object_form(name, spool.view());
        repository_.trust().require(name, form);
        const auto secret = repository_.keys().structure_secret_for(*form.header.envelope);
        SegmentReader reader(std::make_shared<ViewSource>(form.body, name),
                             {object_key(secret->view(), ObjectKind::index_segment, name), name});
        SegmentCursor cursor(reader, std::size_t{1} << 20);
        while (cursor.next()) {
        }
    }

    void read_packs() {
        std::vector<PackId> packs;
        repository_.store().list(std::string(packs_prefix), "",
                                 [&](const ObjectInfo& info) {
                                     if (const auto pack = PackId::from_name(info.name))
                                         packs.push_back(*pack);
                                     return true;
                                 },
                                 {});
        progress_.set_phase("reading the tables of packs");
        progress_.set_done(0, 0);
        progress_.set_total(0, packs.size());
        PackReader reader(repository_.store(), repository_.keys(), 0);
        LostMoves moves(packs);
        for (const PackId& id : packs) {
            check_stop();
            try {
                if (const auto pack = reader.load(id)) {
                    add_pack(*pack);
                    moves.look_at(*pack);
                }
            } catch (const Error& error) {
                if (error.code() != ErrorCode::corrupt && error.code() != ErrorCode::incompatible &&
                    error.code() != ErrorCode::wrong_key && error.code() != ErrorCode::access_denied) {
                    throw;
                }
                ++report_.unreadable_packs;
                note(fmt::format("{}: {}", id.name(), error.message()));
            }
            progress_.add_done(0, 1);
        }
        end_sorted_run();
        try {
            report_.moves = moves.put_notes(repository_, run_);
        } catch (const Error& error) {
            if (error.code() != ErrorCode::access_denied) throw;
            note(error.message());
        }
    }

    // What nobody enrolled has written is not named: its blobs could be anything.
    void add_pack(const LoadedPack& pack) {
        repository_.trust().require(
            {pack.name, ObjectKind::pack, pack.writer, pack.id.run, pack.digest, pack.signature});
        ++report_.packs;
        for (const FrameRecord& frame : pack.tail.frames) {
            const PackId& origin = pack.origins[frame.origin];
            if (!session_->may_refer({origin, frame.number})) continue;
            for (const BlobRecord& blob : frame.blobs) {
                entries_.push_back({blob.id, {origin, frame.number, blob.offset, blob.length}});
                if (entries_.size() >= run_entries) end_sorted_run();
            }
        }
    }

    void end_sorted_run() {
        if (entries_.empty()) return;
        Secret key(32);
        repository_.random().fill(key.mutable_view());
        const std::string name = fmt::format("sorted run {}", runs_.size());
        SegmentBody body = encode_segment({key.copy(), name}, entries_, writer_options_);
        entries_.clear();
        SortedRun run{Spool(writer_options_.temporary_directory, 0), nullptr};
        for (const ByteView piece : body.pieces()) run.file.append(piece);
        run.reader = std::make_shared<SegmentReader>(
            std::make_shared<ViewSource>(run.file.view(), name), SegmentIdentity{std::move(key), name},
            SegmentReaderOptions{.load_filter = false, .cached_blocks = 1});
        runs_.push_back(std::move(run));
    }

    void write_segments() {
        progress_.set_phase("writing the new index");
        progress_.set_done(0, 0);
        progress_.set_total(0, 0);
        std::vector<std::shared_ptr<SegmentReader>> inputs;
        for (const SortedRun& run : runs_) inputs.push_back(run.reader);
        std::string name;
        std::uint32_t number = 0;
        SegmentMergeOptions options;
        options.entries_per_segment = segment_entries;
        options.read_ahead_bytes = read_ahead_bytes;
        options.writer = writer_options_;
        const SegmentMergeResult merged = merge_segments(
            inputs, [](const IndexEntry&) { return true; },
            [&] {
                name = index_segment_name(domain_, run_.id(), number++);
                return SegmentIdentity{
                    object_key(run_.structure_secret().view(), ObjectKind::index_segment, name), name};
            },
            [&](SegmentBody body) {
                const Bytes object = sign_parts(ObjectKind::index_segment, name, body.joined(), run_);
                repository_.store().put(name, object);
                report_.new_bytes += object.size();
                progress_.add_done(object.size(), body.entries());
            },
            options, stop_);
        report_.new_segments = merged.segments;
        report_.blobs = merged.written;
    }

    void remove_old(const std::vector<std::string>& old) {
        const bool complete = report_.unreadable_packs == 0;
        for (const std::string& name : complete ? old : report_.damaged_segments) {
            try {
                repository_.store().remove(name, {});
                ++report_.removed_segments;
            } catch (const Error& error) {
                // Locked, or this holder may not delete: it is a hint like any other.
                if (error.code() != ErrorCode::access_denied) throw;
                note(fmt::format("{}: {}", name, error.message()));
            }
        }
    }

    // What failed says more than that its intent could not be taken back.
    void end_after_failure() {
        try {
            session_->leave();
        } catch (const Error& error) {
            repository_.logger().warning("a collection may wait for this run, which has ended",
                                         {{"run", run_.id().hex()}, {"reason", error.message()}});
        }
    }

    // Nobody has to wait for this run.
    void end_run() {
        try {
            session_->leave();
        } catch (const Error& error) {
            if (error.code() != ErrorCode::access_denied) throw;
            note(fmt::format("its intent stays, since this holder may not delete: {}", error.message()));
        }
    }

    Repository& repository_;
    Progress& progress_;
    std::stop_token stop_;
    const DomainId domain_;
    RunContext run_;
    SegmentWriterOptions writer_options_;
    std::unique_ptr<WriterSession> session_;
    std::vector<IndexEntry> entries_;
    std::vector<SortedRun> runs_;
    RepairReport report_;
};

} // namespace

RepairReport repair_index(Repository& repository, Progress& progress, std::stop_token stop) {
    if (!repository.trust().may_write(repository.keys().slot(), ObjectKind::index_segment, RunId{})) {
        throw Error(ErrorCode::access_denied, "this key slot may not write an index",
                    "repair it with a key slot of role full, write or prune");
    }
    return IndexRepair(repository, progress, std::move(stop)).run();
}

} // namespace holdfast
