#include "service/repair_index.h"

#include "base/error.h"
#include "repository/index/segment_merge.h"
#include "repository/index/spool.h"
#include "repository/object.h"
#include "repository/protocol/protocol_object.h"
#include "repository/protocol/writer_session.h"
#include "service/lost_moves.h"
#include "service/view_source.h"

#include <map>
#include <optional>

#include <fmt/format.h>

namespace holdfast {

namespace {

constexpr std::size_t run_entries = 500'000;         // gathered in memory before they go to a file
constexpr std::uint64_t segment_entries = 1'000'000; // 40 MB, so that a segment can be signed in memory
constexpr std::size_t read_ahead_bytes = std::size_t{16} << 20;
constexpr std::uint64_t piece_bytes = std::uint64_t{8} << 20;
constexpr std::size_t most_problems = 1000;
constexpr Duration beat_interval = std::chrono::seconds(60);

// Which index an entry goes to: of which domain, and whether it is only claimed.
struct Shelf {
    DomainId domain;
    bool claimed = false;

    auto operator<=>(const Shelf&) const = default;
};

// Sorted entries in a file of their own, encrypted as a segment that nobody else will ever read.
struct SortedRun {
    Spool file;
    std::shared_ptr<SegmentReader> reader;
};

struct Gathered {
    std::vector<IndexEntry> entries;
    std::vector<SortedRun> runs;
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
            for (const Snapshot& snapshot : session_->snapshots().snapshots)
                domains_.emplace(snapshot.id, domain_id(snapshot.domain));
            look_at_segments(list_names(repository_.store(), index_prefix));
            read_packs();
            write_segments();
            remove_old();
        } catch (const Error&) {
            end_after_failure();
            throw;
        }
        end_run();
        return std::move(report_);
    }

  private:
    void check_stop() const {
        if (stop_.stop_requested()) throw Error(ErrorCode::cancelled, "repairing the index was stopped");
    }

    void note(std::string problem) {
        if (report_.problems.size() < most_problems) report_.problems.push_back(std::move(problem));
    }

    void look_at_segments(const std::vector<std::string>& names) {
        progress_.set_phase("reading the old index");
        progress_.set_total(0, names.size());
        std::map<DomainId, std::uint64_t> unreadable;
        for (const std::string& name : names) {
            check_stop();
            try {
                read_through(name);
            } catch (const Error& error) {
                if (error.code() == ErrorCode::wrong_key) {
                    ++unreadable[parse_name(name)->domain];
                } else if (error.code() == ErrorCode::corrupt || error.code() == ErrorCode::incompatible ||
                           error.code() == ErrorCode::access_denied) {
                    report_.damaged_segments.push_back(name);
                } else {
                    throw;
                }
            }
            progress_.add_done(0, 1);
        }
        for (const auto& [domain, segments] : unreadable) {
            note(fmt::format("the index of domain {} has segments that this key cannot open: {}",
                             repository_.trust().domain_named(domain).value_or(domain.hex()), segments));
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
        if (form.header.writer == repository_.keys().slot()) own_segments_.push_back(name);
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
        end_sorted_runs();
        try {
            report_.moves = moves.put_notes(repository_, run_, stop_);
        } catch (const Error& error) {
            if (error.code() != ErrorCode::access_denied) throw;
            note(error.message());
        }
    }

    // What nobody enrolled has written is not named: its blobs could be anything. What another slot says is
    // in its frames goes on as a claim: this slot's own backups would believe what it signs unread.
    void add_pack(const LoadedPack& pack) {
        repository_.trust().require(
            {pack.name, ObjectKind::pack, pack.writer, pack.id.run, pack.digest, pack.signature});
        ++report_.packs;
        const bool moved = !pack.tail.origins.empty();
        const bool claimed = moved || pack.writer != repository_.keys().slot();
        if (claimed && !repository_.keys().reads_structure()) return;
        for (const FrameRecord& frame : pack.tail.frames) {
            const PackId& origin = pack.origins[frame.origin];
            if (!session_->may_refer({origin, frame.number})) continue;
            const DomainId domain = moved ? domain_of_run(origin.run) : domain_of_slot(pack.writer);
            Gathered& gathered = shelves_[{domain, claimed}];
            for (const BlobRecord& blob : frame.blobs) {
                gathered.entries.push_back({blob.id, {origin, frame.number, blob.offset, blob.length}});
                if (++waiting_ >= run_entries) end_sorted_runs();
            }
        }
    }

    DomainId domain_of_slot(const SlotId& slot) const {
        const Trust& trust = repository_.trust();
        if (const SlotRecord* record = trust.active(slot)) return domain_id(record->domain);
        if (const Revocation* removed = trust.revocation(slot)) return domain_id(removed->domain);
        return domain_;
    }
    DomainId domain_of_run(const RunId& run) const {
        const auto found = domains_.find(run);
        return found != domains_.end() ? found->second : domain_;
    }

    void end_sorted_runs() {
        for (auto& [shelf, gathered] : shelves_) end_sorted_run(gathered);
        waiting_ = 0;
    }

    void end_sorted_run(Gathered& gathered) {
        if (gathered.entries.empty()) return;
        Secret key(32);
        repository_.random().fill(key.mutable_view());
        const std::string name = fmt::format("sorted run {}", gathered.runs.size());
        SegmentBody body = encode_segment({key.copy(), name}, gathered.entries, writer_options_);
        gathered.entries.clear();
        SortedRun run{Spool(writer_options_.temporary_directory, 0), nullptr};
        for (const ByteView piece : body.pieces()) run.file.append(piece);
        run.reader = std::make_shared<SegmentReader>(
            std::make_shared<ViewSource>(run.file.view(), name), SegmentIdentity{std::move(key), name},
            SegmentReaderOptions{.load_filter = false, .cached_blocks = 1});
        gathered.runs.push_back(std::move(run));
    }

    void write_segments() {
        progress_.set_phase("writing the new index");
        progress_.set_done(0, 0);
        progress_.set_total(0, 0);
        for (const auto& [shelf, gathered] : shelves_) {
            // A run of its own, without content: nobody believes what it signs before he has read the frame.
            if (shelf.claimed && !claims_run_)
                claims_run_.emplace(repository_.keys().begin_structure_only_run(repository_.random()));
            write_shelf(shelf.domain, gathered, shelf.claimed ? *claims_run_ : run_);
        }
    }

    void write_shelf(const DomainId& domain, const Gathered& gathered, const RunContext& run) {
        std::vector<std::shared_ptr<SegmentReader>> inputs;
        for (const SortedRun& sorted : gathered.runs) inputs.push_back(sorted.reader);
        std::string name;
        std::uint32_t number = 0;
        SegmentMergeOptions options;
        options.entries_per_segment = segment_entries;
        options.read_ahead_bytes = read_ahead_bytes;
        options.writer = writer_options_;
        const SegmentMergeResult merged = merge_segments(
            inputs, [](const IndexEntry&) { return true; },
            [&] {
                name = index_segment_name(domain, run.id(), number++);
                return SegmentIdentity{
                    object_key(run.structure_secret().view(), ObjectKind::index_segment, name), name};
            },
            [&](SegmentBody body) {
                const Bytes object = sign_parts(ObjectKind::index_segment, name, body.joined(), run);
                repository_.store().put(name, object);
                report_.new_bytes += object.size();
                progress_.add_done(object.size(), body.entries());
            },
            options, stop_);
        report_.new_segments += merged.segments;
        report_.blobs += merged.written;
    }

    // Sound segments of other slots stay: a machine without content keys believes no others.
    void remove_old() {
        std::vector<std::string> old = report_.damaged_segments;
        if (report_.unreadable_packs == 0) old.insert(old.end(), own_segments_.begin(), own_segments_.end());
        for (const std::string& name : old) {
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
    std::optional<RunContext> claims_run_;
    SegmentWriterOptions writer_options_;
    std::unique_ptr<WriterSession> session_;
    std::map<RunId, DomainId> domains_; // of snapshots
    std::vector<std::string> own_segments_;
    std::map<Shelf, Gathered> shelves_;
    std::size_t waiting_ = 0; // entries that are in no file yet
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
