#include "repository/protocol/snapshot_list.h"

#include "base/error.h"
#include "repository/json_form.h"
#include "repository/protocol/object_cache.h"
#include "repository/protocol/protocol_object.h"
#include "repository/protocol/statement.h"

#include <algorithm>
#include <map>
#include <optional>
#include <tuple>

#include <fmt/format.h>

namespace holdfast {

namespace {

// Which of the runs in `committed` were forgotten by somebody who may. Forgets of others are not read.
std::set<RunId> forgotten_among(const RepositoryContext& context, const std::set<RunId>& committed,
                                std::vector<std::string>& problems) {
    std::set<RunId> forgotten;
    for (const Forget& forget : list_forgets(
             context, [&](const RunId& run) { return committed.contains(run); },
             [&](const Error& error) { problems.push_back(error.message()); }))
        forgotten.insert(forget.snapshot);
    return forgotten;
}

// That it was signed counts, whatever else it says.
std::optional<Timestamp> time_in(const OpenedObject& forget, const ObjectName& name) {
    try {
        return JsonReader::parse(forget.body, object_name(name), forget.body.size()).time("time");
    } catch (const Error&) {
        return std::nullopt;
    }
}

std::set<RunId> runs_of(const std::vector<ObjectInfo>& commits) {
    std::set<RunId> runs;
    for (const ObjectInfo& info : commits) {
        const auto parsed = parse_name(info.name);
        if (parsed && parsed->kind == NameKind::commit) runs.insert(parsed->owner);
    }
    return runs;
}

void require_may_forget(const RepositoryContext& context) {
    if (!role_may_write(context.keys.role(), ObjectKind::forget)) {
        throw Error(ErrorCode::access_denied, "this key may not forget snapshots",
                    "use a key of role full or prune");
    }
}

void require_no_hold(const Snapshot& snapshot, const std::vector<Statement>& statements) {
    const Standing standing = standing_of(snapshot, statements);
    if (!standing.holds.empty()) {
        throw Error(ErrorCode::usage,
                    fmt::format("{} is held: {}", snapshot.id.hex(), standing.holds.front().name),
                    "release the hold first");
    }
}

// Throws when `id`, one of those that are to be forgotten together, may not be.
void require_forgettable(const SnapshotList& list, const std::vector<Statement>& statements,
                         const std::set<RunId>& together, const RunId& id, bool even_the_last) {
    if (std::ranges::find(list.damaged, commit_name(id)) != list.damaged.end()) {
        if (even_the_last) return;
        throw Error(ErrorCode::usage,
                    fmt::format("{} is damaged, so that it is not known what it is", id.hex()),
                    "restore it from a copy, or add --even-the-last: it may be the last of its source");
    }
    const auto found = std::ranges::find(list.snapshots, id, &Snapshot::id);
    if (found == list.snapshots.end()) {
        throw Error(ErrorCode::not_found, fmt::format("there is no snapshot {}", id.hex()),
                    "'holdfast snapshots' lists those that there are");
    }
    const bool any_left = std::ranges::any_of(list.snapshots, [&](const Snapshot& other) {
        return other.source == found->source && !together.contains(other.id);
    });
    if (!any_left && !even_the_last) {
        throw Error(ErrorCode::usage, fmt::format("{} is the last snapshot of its source", id.hex()),
                    "add --even-the-last, if that is meant");
    }
    require_no_hold(*found, statements);
}

// A run commits before its intent goes: who looks the other way round can miss both.
void require_lost(const RepositoryContext& context, const RunId& id) {
    const std::string beats = intent_name(id, 0);
    const bool is_open = !list_names(context.store, beats.substr(0, beats.rfind('-') + 1)).empty();
    if (!list_names(context.store, commit_name(id)).empty()) {
        throw Error(ErrorCode::usage, fmt::format("{} is not lost: its commit is there", id.hex()),
                    "'holdfast forget' without --lost forgets it");
    }
    if (is_open) {
        throw Error(ErrorCode::usage, fmt::format("{} is a run that has not ended", id.hex()),
                    "wait until it has; 'holdfast prune' ends one that is silent");
    }
}

// Only what followed it tells of which source it was; of one that nothing followed, every hold on a source
// may be on its.
void require_no_hold_of_lost(const SnapshotList& list, const std::vector<Statement>& statements,
                             const RunId& id) {
    Snapshot lost;
    lost.id = id;
    std::set<std::string> sources;
    for (const Snapshot& snapshot : list.snapshots)
        if (snapshot.parent == id) sources.insert(snapshot.source);
    if (sources.empty())
        for (const Statement& statement : statements)
            if (statement.source) sources.insert(*statement.source);
    require_no_hold(lost, statements);
    for (const std::string& source : sources) {
        lost.source = source;
        require_no_hold(lost, statements);
    }
}

void put_forget(const RepositoryContext& context, const RunId& id) {
    const RunContext run = context.keys.begin_run(context.random);
    const std::string name = forget_name(id);
    JsonWriter body;
    body.time("time", context.clock.now());
    put_object(context, name, sign_object(ObjectKind::forget, name, body.finish(), run));
}

// Throws Error(access_denied) when a description says what its writer may not say: a writer speaks of its own
// domain alone, and a domain's snapshots need the log of that domain. Else a stranger's snapshot could pass
// for the newest of a source, or have a collection delete the log of another.
void require_of_its_domain(const RepositoryContext& context, const std::string& name,
                           const OpenedObject& object, const Snapshot& snapshot) {
    const bool speaks = context.trust.may_speak_of(object.writer, snapshot.domain);
    if (speaks && (!snapshot.log || domain_of(snapshot.log->archive) == domain_id(snapshot.domain))) return;
    throw Error(ErrorCode::access_denied,
                fmt::format("{} does not count: key slot {}, which signed it, may not speak of {}", name,
                            object.writer.hex(),
                            speaks ? "the log of another domain than its snapshot's"
                                   : fmt::format("the domain {}", snapshot.domain)),
                "its holder overstepped; find out why, and remove the slot with 'holdfast key remove' if in "
                "doubt");
}

} // namespace

std::vector<Forget> list_forgets(const RepositoryContext& context,
                                 const std::function<bool(const RunId&)>& wanted,
                                 const std::function<void(const Error&)>& problem) {
    std::vector<std::string> names;
    for (std::string& name : list_names(context.store, forgets_prefix)) {
        const auto parsed = parse_name(name);
        if (parsed && parsed->kind == NameKind::forget && wanted(parsed->owner))
            names.push_back(std::move(name));
    }
    return read_forgets(context, names, problem);
}

std::vector<Forget> read_forgets(const RepositoryContext& context, const std::vector<std::string>& names,
                                 const std::function<void(const Error&)>& problem) {
    std::vector<Forget> forgets;
    const auto take = [&](const ObjectName& name, const OpenedObject& object) {
        forgets.push_back({name.owner, object.writer, time_in(object, name)});
    };
    read_names(context, names, NameKind::forget, {ObjectKind::forget},
               {.object = take, .problem = [&](const std::string&, const Error& error) { problem(error); }});
    return forgets;
}

SnapshotList list_snapshots(const RepositoryContext& context) {
    SnapshotList list;
    std::vector<ObjectInfo> commits = context.store.list_all(std::string(commits_prefix));
    const std::set<RunId> forgotten = forgotten_among(context, runs_of(commits), list.problems);
    list.forgotten = {forgotten.begin(), forgotten.end()};
    std::erase_if(commits, [&](const ObjectInfo& info) {
        const auto parsed = parse_name(info.name);
        return parsed && forgotten.contains(parsed->owner);
    });
    const auto take = [&](const ObjectName& name, const OpenedObject& object) {
        if (object.kind == ObjectKind::fence) {
            list.fenced.push_back(name.owner);
            return;
        }
        try {
            Snapshot snapshot = decode_snapshot(object.body, name.owner);
            require_of_its_domain(context, object_name(name), object, snapshot);
            list.snapshots.push_back(std::move(snapshot));
        } catch (const Error& error) {
            if (error.code() == ErrorCode::access_denied) {
                list.problems.push_back(error.message());
                return;
            }
            list.problems.push_back(fmt::format("{}: {}", object_name(name), error.message()));
            list.damaged.push_back(object_name(name));
        }
    };
    read_listed(context, commits, NameKind::commit, {ObjectKind::commit, ObjectKind::fence},
                {.object = take,
                 .problem =
                     [&](const std::string& name, const Error& error) {
                         list.problems.push_back(error.message());
                         if (error.code() != ErrorCode::access_denied && parse_name(name))
                             list.damaged.push_back(name);
                     },
                 .unreadable = [&](const std::string&) { ++list.unreadable; }});
    if (context.cache != nullptr) context.cache->keep_only(std::string(commits_prefix), commits);
    std::ranges::sort(list.snapshots, {},
                      [](const Snapshot& snapshot) { return std::tie(snapshot.time, snapshot.id); });
    return list;
}

std::optional<Snapshot> read_snapshot(const RepositoryContext& context, const RunId& id) {
    const std::string name = commit_name(id);
    try {
        const auto object = read_protocol_object(context, name, {ObjectKind::commit, ObjectKind::fence});
        if (!object || object->kind == ObjectKind::fence) return std::nullopt;
        Snapshot snapshot = decode_snapshot(object->body, id);
        require_of_its_domain(context, name, *object, snapshot);
        return snapshot;
    } catch (const Error& error) {
        if (error.code() != ErrorCode::access_denied) throw;
        return std::nullopt;
    }
}

std::optional<std::uint64_t> least_log_begin(const SnapshotList& list, const ArchiveId& archive) {
    std::optional<std::uint64_t> least;
    for (const Snapshot& snapshot : list.snapshots) {
        if (!snapshot.log || snapshot.log->archive != archive) continue;
        least = std::min(least.value_or(UINT64_MAX), snapshot.log->range.begin);
    }
    return least;
}

const Snapshot* newest_of(std::span<const Snapshot> snapshots, const std::string& source,
                          const std::string& own_domain) {
    std::map<std::string_view, const Snapshot*> by_domain;
    for (const Snapshot& snapshot : snapshots) {
        if (snapshot.source != source) continue;
        const Snapshot*& newest = by_domain[snapshot.domain];
        if (newest == nullptr || newer(snapshot, *newest)) newest = &snapshot;
    }
    if (const auto own = by_domain.find(own_domain); own != by_domain.end()) return own->second;
    if (by_domain.size() > 1) {
        throw Error(
            ErrorCode::usage,
            fmt::format("'{}' is ambiguous: {} domains have a source of this name", source, by_domain.size()),
            "name a snapshot by its id; 'holdfast snapshots' lists them");
    }
    return by_domain.empty() ? nullptr : by_domain.begin()->second;
}

std::vector<Snapshot> list_checkpoints(const RepositoryContext& context, const std::set<RunId>& ended,
                                       Timestamp not_before) {
    std::map<RunId, std::vector<std::string>> by_run; // ascending by number
    context.store.list(std::string(checkpoints_prefix), "",
                       [&](const ObjectInfo& info) {
                           const auto parsed = parse_name(info.name);
                           if (parsed && parsed->kind == NameKind::checkpoint &&
                               !ended.contains(parsed->owner) && info.modified >= not_before) {
                               by_run[parsed->owner].push_back(info.name);
                           }
                           return true;
                       },
                       {});
    std::vector<Snapshot> checkpoints;
    for (const auto& [run, names] : by_run) {
        for (auto name = names.rbegin(); name != names.rend(); ++name) {
            std::optional<Snapshot> checkpoint;
            read_names(context, {*name}, NameKind::checkpoint, {ObjectKind::checkpoint},
                       {.object =
                            [&](const ObjectName& parsed, const OpenedObject& object) {
                                try {
                                    Snapshot found = decode_snapshot(object.body, parsed.owner);
                                    require_of_its_domain(context, *name, object, found);
                                    checkpoint = std::move(found);
                                } catch (const Error&) {
                                    // Only a hint of where to go on; the one before it will do.
                                }
                            },
                        .problem = [](const std::string&, const Error&) {}});
            if (!checkpoint) continue;
            checkpoints.push_back(std::move(*checkpoint));
            break;
        }
    }
    std::ranges::sort(checkpoints, std::greater{},
                      [](const Snapshot& checkpoint) { return std::tie(checkpoint.end, checkpoint.id); });
    return checkpoints;
}

void forget_snapshots(const RepositoryContext& context, const std::set<RunId>& ids, bool even_the_last) {
    require_may_forget(context);
    const SnapshotList list = list_snapshots(context);
    const StatementList statements = list_statements(context);
    require_all_statements(statements);
    for (const RunId& id : ids) require_forgettable(list, statements.statements, ids, id, even_the_last);
    for (const RunId& id : ids) put_forget(context, id);
}

void forget_snapshot(const RepositoryContext& context, const RunId& id, bool even_the_last) {
    forget_snapshots(context, {id}, even_the_last);
}

void forget_lost_snapshots(const RepositoryContext& context, const std::set<RunId>& ids) {
    require_may_forget(context);
    for (const RunId& id : ids) require_lost(context, id);
    const SnapshotList list = list_snapshots(context);
    const StatementList statements = list_statements(context);
    require_all_statements(statements);
    for (const RunId& id : ids) require_no_hold_of_lost(list, statements.statements, id);
    for (const RunId& id : ids) put_forget(context, id);
}

void forget_lost_snapshot(const RepositoryContext& context, const RunId& id) {
    forget_lost_snapshots(context, {id});
}

} // namespace holdfast
