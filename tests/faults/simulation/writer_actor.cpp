#include "base/error.h"
#include "crypto/hash.h"
#include "faults/simulation/world.h"
#include "repository/log/log_path.h"
#include "repository/log/log_reader.h"
#include "repository/node/node.h"
#include "repository/protocol/writer_session.h"

#include <algorithm>

#include <fmt/format.h>

namespace holdfast::simulation {

namespace {

// Shorter than patience, mostly.
constexpr Duration longest_nap = std::chrono::minutes(80);

BlobId blob_id(Content content) { return derive_hash<24>("simulated blob", bytes_of(content)); }

class Backup {
  public:
    Backup(World& world, const Participant& writer, const std::string& source, Lag lag)
        : world_(world),
          lag_(lag),
          writer_(writer),
          source_(source),
          run_(writer.context().keys.begin_run(writer.context().random)),
          packs_(writer.context().store, writer.context().keys),
          nodes_(packs_) {}
    ~Backup() {
        if (at_work_) --world_.writers_at_work;
    }

    bool run(const Dataset& dataset) {
        ++world_.writers_at_work;
        at_work_ = true;
        session_ = WriterSession::begin(writer_.context(), run_, "simulated", Duration::zero());
        choose_previous();
        if (!begin_log()) {
            leave();
            return false;
        }
        // Some see to their log before all else, and rely on its being there to the end.
        const bool lags = lag_ == Lag::as_far_as_it_may;
        const bool log_first = world_.steps.log_before_commit && (lags || world_.scheduler.chance(500));
        if (log_first) bring_log();
        if (lags || world_.scheduler.chance(100))
            world_.scheduler.yield(world_.scheduler.random_duration(longest_nap));
        world_.intended[run_.id()] = dataset;
        DirectoryLeafBuilder root;
        std::size_t done = 0;
        for (const auto& [name, directory] : dataset) {
            root.add(directory_entry(name, store_directory(name, directory)));
            if (++done < dataset.size() && world_.scheduler.chance(250)) save_checkpoint(dataset, done);
            if (world_.scheduler.chance(300)) session_->beat();
            if (world_.scheduler.chance(60)) {
                stop(dataset, done);
                return false;
            }
        }
        const NodeRef root_node = store_node(root.finish());
        Snapshot snapshot = describe(root_node, SnapshotState::complete);
        snapshot.log = log_;
        if (world_.steps.packs_before_commit) flush();
        if (world_.steps.log_before_commit && !log_first) bring_log();
        commit_tried_ = true;
        session_->commit(snapshot);
        if (!world_.steps.packs_before_commit) flush();
        if (!world_.steps.log_before_commit) bring_log();
        world_.acknowledged.insert(run_.id());
        ++world_.commits;
        return true;
    }

    // Behind a failure. Whoever has tried to commit must not, and who never began cannot.
    void leave_after_failure() {
        if (session_ && !commit_tried_ && world_.scheduler.chance(700)) leave();
    }

  private:
    // On request: mostly with a last checkpoint, which may not come about.
    void stop(const Dataset& dataset, std::size_t directories) {
        try {
            if (world_.scheduler.chance(800)) save_checkpoint(dataset, directories);
        } catch (const Error& error) {
            world_.trace(writer_.name(), "no last checkpoint: " + error.message());
        }
        leave();
    }

    // Mostly from the server as it is; a standby may lag behind, and a checkpoint lies back. False when it
    // lags too far behind.
    bool begin_log() {
        SimulatedLog& log = world_.logs[source_];
        const ArchiveId archive = archive_of(world_, source_);
        auto least = least_log_begin(session_->snapshots(), archive);
        const std::uint64_t released = session_->log_released_until({archive, 1});
        if (world_.steps.heed_log_begins && released > least.value_or(0)) least = released;
        std::uint64_t begin = log.end;
        if (least && lag_ == Lag::as_far_as_it_may && world_.scheduler.chance(800)) {
            begin = *least;
        } else if (least && world_.scheduler.chance(400)) {
            // Often as far back as it may.
            begin = world_.scheduler.chance(500) ? *least : 1 + world_.scheduler.random().below(log.end);
        }
        if (world_.steps.heed_log_begins && least && begin < *least) return false;
        log.end += 5;
        log_ = SnapshotLog{archive, {1, begin, std::min(log.end, begin + 25)}};
        return true;
    }

    // What of it is not in the archive.
    void bring_log() {
        const LogRange& range = log_->range;
        const std::vector<LogSliceId> slices = list_slices(writer_.context().store, log_->archive);
        const std::vector<PathStep> path = find_path(slices, range);
        const std::uint64_t reached = path.empty() ? range.begin : path.back().end;
        if (reached >= range.end) return;
        LogWriter log(writer_.context(), log_->archive, 1);
        put_slice(world_, log, source_, reached, range.end);
    }

    void leave() {
        world_.left.insert(run_.id());
        world_.trace(writer_.name(), "leaves");
        try {
            session_->leave();
        } catch (const Error& error) {
            world_.trace(writer_.name(), "cannot leave: " + error.message());
        }
    }

    // The newest snapshot of the source, or a checkpoint of which everything is still there.
    void choose_previous() {
        const Snapshot* parent = nullptr;
        for (const Snapshot& snapshot : session_->snapshots().snapshots) {
            if (snapshot.source == source_ && (parent == nullptr || newer(snapshot, *parent)))
                parent = &snapshot;
        }
        if (parent != nullptr) {
            sequence_ = parent->sequence + 1;
            parent_ = parent->id;
            adopt(*parent);
        }
        for (const Snapshot& checkpoint : session_->checkpoints(source_)) {
            if (!session_->may_build_on(checkpoint, nodes_)) continue;
            ++world_.resumed;
            world_.trace(writer_.name(), "goes on from " + checkpoint.id.hex());
            adopt(checkpoint);
            break;
        }
    }

    void adopt(const Snapshot& snapshot) {
        if (!session_->may_refer(snapshot.root.location.frame)) return;
        const Dataset& content = world_.intended[snapshot.id];
        try {
            for (const auto& [name, node] : read_root(nodes_, snapshot.root)) {
                if (content.contains(name)) previous_[name] = {content.at(name), node};
            }
        } catch (const Error& error) {
            world_.trace(writer_.name(), "cannot read its parent: " + error.message());
        }
    }

    NodeRef store_directory(const std::string& name, const Directory& directory) {
        const auto previous = previous_.find(name);
        if (previous != previous_.end() && previous->second.first == directory &&
            session_->may_refer(previous->second.second.location.frame)) {
            ++world_.reused;
            return previous->second.second;
        }
        DirectoryLeafBuilder leaf;
        for (const auto& [document, content] : directory) {
            leaf.add(document_entry(document, content, store_content(content)));
        }
        return store_node(leaf.finish());
    }

    std::optional<FrameAddress> find(const BlobId& id) {
        if (const auto own = stored_.find(id); own != stored_.end()) return own->second;
        for (const FrameAddress& frame : world_.index.places[id]) {
            if (!session_->may_refer(frame)) continue;
            ++world_.reused;
            return frame;
        }
        return std::nullopt;
    }

    FrameAddress store_content(Content content) {
        const BlobId id = blob_id(content);
        if (const auto known = find(id)) return *known;
        return stored_[id] = open_pack(data_pack).add(bytes_of(content), BlobType::data, id);
    }

    NodeRef store_node(const Bytes& node) {
        const NodeId id = node_id(node);
        const auto length = static_cast<std::uint32_t>(node.size());
        if (const auto known = find(id)) return {id, {*known, 0, length}};
        return {id, {stored_[id] = open_pack(metadata_pack).add(node, BlobType::node, id), 0, length}};
    }

    TinyPack& open_pack(std::uint8_t kind) {
        auto& pack = open_[kind];
        if (!pack) pack = std::make_unique<TinyPack>(run_, next_sequence_++, kind);
        return *pack;
    }

    // Packs, and then what names them.
    void flush() {
        for (auto& [_, pack] : open_) pack->put(writer_.context().store);
        open_.clear();
        for (const auto& [id, frame] : stored_) {
            auto& places = world_.index.places[id];
            if (std::ranges::find(places, frame) == places.end()) places.push_back(frame);
        }
    }

    void save_checkpoint(const Dataset& dataset, std::size_t directories) {
        DirectoryLeafBuilder root;
        for (const auto& [name, directory] : dataset) {
            if (directories-- == 0) break;
            root.add(directory_entry(name, store_directory(name, directory)));
        }
        const NodeRef root_node = store_node(root.finish());
        flush();
        session_->checkpoint(describe(root_node, SnapshotState::unfinished));
    }

    Snapshot describe(const NodeRef& root, SnapshotState state) const {
        Snapshot snapshot;
        snapshot.id = run_.id();
        snapshot.source = source_;
        snapshot.domain = writer_.context().keys.domain();
        snapshot.kind = "documents";
        snapshot.sequence = sequence_;
        snapshot.parent = parent_;
        snapshot.time = writer_.context().clock.now();
        snapshot.end = snapshot.time;
        snapshot.root = root;
        snapshot.state = state;
        return snapshot;
    }

    World& world_;
    const Lag lag_;
    const Participant& writer_;
    const std::string source_;
    RunContext run_;
    PackReader packs_;
    NodeReader nodes_;
    std::unique_ptr<WriterSession> session_;
    bool at_work_ = false;
    bool commit_tried_ = false;
    std::uint64_t sequence_ = 1;
    std::optional<SnapshotLog> log_;
    std::optional<RunId> parent_;
    std::map<std::string, std::pair<Directory, NodeRef>> previous_;
    std::map<BlobId, FrameAddress> stored_;
    std::map<std::uint8_t, std::unique_ptr<TinyPack>> open_;
    std::uint32_t next_sequence_ = 0;
};

} // namespace

bool back_up(World& world, const Participant& writer, const std::string& source, const Dataset& dataset,
             Lag lag) {
    Backup backup(world, writer, source, lag);
    try {
        return backup.run(dataset);
    } catch (const Error& error) {
        world.trace(writer.name(), "gave up: " + error.message());
        backup.leave_after_failure();
        return false;
    }
}

} // namespace holdfast::simulation
