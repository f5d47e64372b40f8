#include "repository/protocol/writer_session.h"

#include "base/error.h"
#include "repository/moved_pack.h"
#include "repository/protocol/pack_set.h"
#include "repository/protocol/protocol_object.h"
#include "repository/protocol/reachability.h"
#include "repository/protocol/run_intent.h"
#include "repository/protocol/standing_verdicts.h"

#include <ranges>
#include <set>

#include <fmt/format.h>

namespace holdfast {

struct WriterSession::State {
    State(const RepositoryContext& repository, RunContext& own_run) : context(repository), run(own_run) {}

    void read_condemned();
    void list();
    void list_moved();
    bool doomed(const FrameAddress& frame) const { return condemned.dooms(frame) || decided.dooms(frame); }
    enum class Place { held, dead, lost };
    Place place_of(const PackId& pack, unsigned moves_left) const;
    bool stays(const PackId& pack) const;

    const RepositoryContext& context;
    RunContext& run;
    std::unique_ptr<RunIntent> intent; // until the run has left
    bool commit_tried = false;
    // What is being considered, and what is settled; the latter also says which packs are gone and where to.
    DoomedPacks condemned;
    DoomedPacks decided;
    Moves moves;
    LogFloors released;
    bool refer_to_nothing = false;
    std::vector<std::string> problems;
    SnapshotList snapshots;
    PackSet packs;
    std::uint32_t next_checkpoint = 0;
};

void WriterSession::State::read_condemned() {
    if (!context.steps.read_condemned) return;
    StandingVerdicts standing = read_verdicts(context);
    for (const auto& [_, list] : standing.condemned) {
        condemned.merge(list.doomed);
        if (context.steps.read_condemned_floors) raise_floors(released, list.released);
    }
    if (context.steps.read_verdicts) {
        if (context.steps.read_decided_floors) raise_floors(released, standing.released());
        decided = standing.decided();
        moves = standing.moves();
    }
    problems = std::move(standing.problems);
    refer_to_nothing = !standing.damaged.empty();
}

// moved/ after packs/: what was said to have moved before its pack went is then seen when the pack is not.
void WriterSession::State::list() {
    if (context.steps.intent_before_lists) snapshots = list_snapshots(context);
    if (!context.steps.list_packs) return;
    context.store.list(std::string(packs_prefix), "",
                       [&](const ObjectInfo& info) {
                           if (const auto pack = PackId::from_name(info.name)) packs.insert(*pack);
                           return true;
                       },
                       {});
    list_moved();
}

// What moved since the verdicts were read, and is not in the listing of packs any more. A name says nothing:
// whoever can write to the store can put one, and a writer may not say where packs are.
void WriterSession::State::list_moved() {
    std::vector<std::string> names;
    for (std::string& name : list_names(context.store, moved_prefix)) {
        const auto parsed = parse_name(name);
        if (!parsed || parsed->kind != NameKind::moved) continue;
        if (!packs.contains(parsed->pack()) && !moves.contains(parsed->pack()))
            names.push_back(std::move(name));
    }
    const auto take = [&](const ObjectName& name, const OpenedObject& object) {
        std::vector<PackId> targets;
        try {
            for (const std::string& target : decode_moved(object.body)) {
                if (const auto pack = PackId::from_name(target)) targets.push_back(*pack);
            }
        } catch (const Error& error) {
            problems.push_back(fmt::format("{}: {}", object_name(name), error.message()));
            return;
        }
        // Copies were put before the move was told, so one that the listing of packs was too early for is
        // there now.
        for (const PackId& target : targets) {
            if (!packs.contains(target) && context.store.head(target.name(), {})) packs.insert(target);
        }
        moves.emplace(name.pack(), std::move(targets));
    };
    read_names(context, names, NameKind::moved, {ObjectKind::moved},
               {.object = take, .problem = [&](const std::string&, const Error& error) {
                    problems.push_back(error.message());
                }});
}

// Whether a pack is there to stay, or all that hold its frames now are. A copy that a collector has deleted
// as a whole held nothing but doomed frames; one that is missing otherwise may have held any.
WriterSession::State::Place WriterSession::State::place_of(const PackId& pack, unsigned moves_left) const {
    const bool removed = decided.removes(pack);
    if (packs.contains(pack) && !removed) return Place::held;
    const auto targets = moves.find(pack);
    if (targets == moves.end()) return removed ? Place::dead : Place::lost;
    if (moves_left == 0) return Place::lost;
    Place all = Place::dead;
    for (const PackId& target : targets->second) {
        const Place place = place_of(target, moves_left - 1);
        if (place == Place::lost) return Place::lost;
        if (place == Place::held) all = Place::held;
    }
    return all;
}

// Collections that have not told yet what they condemn wait for this run.
bool WriterSession::State::stays(const PackId& pack) const {
    return packs.contains(pack) && !decided.removes(pack) && !condemned.removes(pack);
}

WriterSession::WriterSession(std::unique_ptr<State> state) : state_(std::move(state)) {}
WriterSession::~WriterSession() = default;

// A put that failed may have happened, that of the intent, too.
std::unique_ptr<WriterSession> WriterSession::begin(const RepositoryContext& context, RunContext& run,
                                                    const std::string& what, Duration beat_interval,
                                                    const CallOptions& leave_call) {
    auto session = std::make_unique<WriterSession>(std::make_unique<State>(context, run));
    State& state = *session->state_;
    try {
        if (!context.steps.intent_before_lists) state.snapshots = list_snapshots(context);
        state.intent = std::make_unique<RunIntent>(context, run, RunRole::writer, what, beat_interval);
        state.read_condemned();
        state.list();
    } catch (const Error&) {
        try {
            session->leave(leave_call);
        } catch (const Error&) {
            // The first error says more; collectors find this run silent.
        }
        throw;
    }
    return session;
}

bool WriterSession::may_refer(const FrameAddress& frame) const {
    if (state_->refer_to_nothing || state_->doomed(frame)) return false;
    return !state_->context.steps.list_packs ||
           state_->place_of(frame.pack, most_moves) == State::Place::held;
}

bool WriterSession::may_reuse(const FrameAddress& frame) const {
    if (!may_refer(frame)) return false;
    return frame.pack.kind != metadata_pack || state_->context.keys.reads_structure() ||
           state_->stays(frame.pack);
}

std::uint64_t WriterSession::log_released_until(const LogBranchName& log) const {
    const auto found = state_->released.find(log);
    return found == state_->released.end() ? 0 : found->second;
}

const SnapshotList& WriterSession::snapshots() const { return state_->snapshots; }
const std::vector<std::string>& WriterSession::problems() const { return state_->problems; }

std::vector<Snapshot> WriterSession::checkpoints(const std::string& source) const {
    std::set<RunId> ended;
    for (const Snapshot& snapshot : state_->snapshots.snapshots) ended.insert(snapshot.id);
    for (const RunId& run : state_->snapshots.forgotten) ended.insert(run);
    std::vector<Snapshot> checkpoints = list_checkpoints(state_->context, ended);
    std::erase_if(checkpoints, [&](const Snapshot& checkpoint) {
        return checkpoint.source != source || checkpoint.id == state_->run.id();
    });
    return checkpoints;
}

bool WriterSession::may_build_on(const Snapshot& checkpoint, NodeReader& nodes) const {
    if (!state_->context.steps.compare_checkpoints) return true;
    ReachabilityScanner scanner(nodes);
    try {
        scanner.add_tree(checkpoint.root);
    } catch (const Error& error) {
        if (error.code() != ErrorCode::corrupt && error.code() != ErrorCode::wrong_key) throw;
        return false;
    }
    for (const auto& [pack, frames] : scanner.frames().packs()) {
        for (std::uint32_t i = 0; i < frames.size(); ++i) {
            if (frames[i] && !may_refer({pack, i})) return false;
        }
    }
    return true;
}

void WriterSession::beat() {
    if (state_->intent) state_->intent->beat();
}

void WriterSession::checkpoint(const Snapshot& snapshot) {
    if (snapshot.state != SnapshotState::unfinished || snapshot.id != state_->run.id()) {
        throw Error(ErrorCode::internal, "a checkpoint of another run, or of a snapshot that is finished");
    }
    const std::string name = checkpoint_name(state_->run.id(), state_->next_checkpoint);
    const Bytes object = seal_object(ObjectKind::checkpoint, name, encode_snapshot(snapshot), state_->run);
    ++state_->next_checkpoint; // also when the put fails: the name may be taken by now
    put_object(state_->context, name, object);
}

// A commit that may be on its way must keep its intent: it refers to what no checkpoint does. The newest beat
// goes first, so that a run that is cut off here looks silent for as long as it can.
void WriterSession::leave(const CallOptions& call) {
    if (state_->commit_tried && state_->context.steps.keep_tried_intent)
        throw Error(ErrorCode::internal, "a run left after it tried to commit");
    state_->intent.reset(); // no more beats
    const std::string prefix = fmt::format("{}{}-", intents_prefix, state_->run.id().hex());
    for (const std::string& name : list_names(state_->context.store, prefix, call) | std::views::reverse)
        state_->context.store.remove(name, call);
}

void WriterSession::commit(const Snapshot& snapshot, const CallOptions& call) {
    if (!state_->intent) throw Error(ErrorCode::internal, "a commit of a run that has left");
    state_->commit_tried = true;
    if (snapshot.state == SnapshotState::unfinished || snapshot.id != state_->run.id()) {
        throw Error(ErrorCode::internal, "a commit of another run, or of a snapshot that is not finished");
    }
    const std::string name = commit_name(state_->run.id());
    const Bytes object = seal_object(ObjectKind::commit, name, encode_snapshot(snapshot), state_->run);
    if (!state_->context.steps.commit_if_absent) {
        put_object(state_->context, name, object);
        return;
    }
    if (put_deciding(state_->context, name, object, call)) return;
    throw Error(
        ErrorCode::fenced,
        fmt::format("{}: a collection gave this run up, because it showed no sign of life for too long",
                    name),
        "start the backup again: what was stored is found again, as far as it is still there");
}

} // namespace holdfast
