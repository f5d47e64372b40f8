// Objects that are gone altogether. They leave nothing damaged behind: each is found by what still speaks of
// it. What nothing speaks of cannot be missed (docs/security.md).

#include "repository/protocol/protocol_object.h"
#include "service/verification.h"

#include <algorithm>

#include <fmt/format.h>

namespace holdfast {

namespace {

constexpr std::string_view restore_hint = "restore this object from a copy of the repository";

} // namespace

// Behind check_objects(), which gathers what is spoken of.
void Verification::find_missing_objects() {
    statements_ = list_statements(*context_);
    standing_ = read_verdicts(*context_);
    find_missing_keys();
    find_missing_grants();
    find_what_removed_slots_left();
    find_missing_statements();
    find_missing_forgets();
    find_missing_snapshots();
    find_missing_verdicts();
    find_missing_intents();
}

// What came since the listing is found by asking for it.
bool Verification::is_there(const std::string& name) {
    return std::ranges::binary_search(names_, name) || repository_.store().head(name, {}).has_value();
}

// Forgets and fences stay for good.
bool Verification::is_accounted_for(const RunId& snapshot) {
    return is_there(commit_name(snapshot)) || is_there(forget_name(snapshot));
}

void Verification::miss(const std::string& name, const std::string& what) {
    findings_.damage(name, what, std::string(restore_hint));
}

// One that was removed has a revocation, which was put before anything of it went.
void Verification::miss_slot(const SlotId& slot, const std::string& why) {
    const Trust& trust = context_->trust;
    if (trust.active(slot) != nullptr || trust.revocation(slot) != nullptr) return;
    if (is_there(slot_name(slot)) || is_there(revocation_name(slot))) return;
    findings_.damage(slot_name(slot),
                     "it is gone although nobody removed this key slot: " + why +
                         "; nobody unlocks with it, and what it signed does not count",
                     std::string(restore_hint));
}

void Verification::find_missing_keys() {
    miss_slot(repository_.config().root_slot, "it is the first one, which made the repository");
    for (const auto& [slot, newest] : grants_) miss_slot(slot, grant_name(slot, newest) + " is its");
}

// Older grants are not missed: the newest one has what they had.
void Verification::find_missing_grants() {
    std::uint32_t newest = repository_.keys().newest_epoch();
    for (const auto& [slot, number] : grants_) newest = std::max(newest, number);
    for (const SlotRecord* slot : context_->trust.active_slots()) {
        const auto grant = grants_.find(slot->slot);
        if (grant != grants_.end() && grant->second == newest) continue;
        const std::string name = grant_name(slot->slot, newest);
        if (is_there(name)) continue; // it does not count, and that has been told
        findings_.damage(
            name,
            grant == grants_.end()
                ? fmt::format("it is gone: key slot '{}' opens nothing without it", slot->label)
                : fmt::format("it is gone, or a rotation of the keys was cut off: key slot '{}' does not "
                              "open what was written since",
                              slot->label),
            "restore this object from a copy, or run 'holdfast key rotate', which grants the keys again");
    }
}

// A revocation lists what of its slot counts. Grants and verdicts give way to later ones, notes of moved
// packs go with the last of their frames.
void Verification::find_what_removed_slots_left() {
    for (const Revocation* revocation : context_->trust.revocations()) {
        const std::string why = revocation_name(revocation->slot) + " says that it was there";
        for (const auto& [name, digest] : revocation->objects) {
            const ObjectName parsed = *parse_name(name);
            if (parsed.kind == NameKind::slot) miss_slot(parsed.owner, why);
            const bool stays = parsed.kind == NameKind::revocation || parsed.kind == NameKind::forget ||
                               parsed.kind == NameKind::statement;
            const bool gone =
                parsed.kind == NameKind::commit ? !is_accounted_for(parsed.owner) : stays && !is_there(name);
            if (gone) miss(name, "it is gone: " + why);
        }
    }
}

// Each has the digest of the one before it. One that counts, and is told of all the same, misses that one.
void Verification::find_missing_statements() {
    std::set<StatementId> counting;
    for (const Statement& statement : statements_.statements) counting.insert(statement.id);
    for (const std::string& problem : statements_.problems) {
        const std::string name = problem.substr(0, problem.find(':'));
        const auto parsed = parse_name(name);
        if (!parsed || parsed->kind != NameKind::statement) {
            miss(std::string(statements_prefix), problem);
            continue;
        }
        const StatementId id{parsed->owner, parsed->number};
        if (id.number > 0 && counting.contains(id) && !is_there(statement_name(id.slot, id.number - 1))) {
            miss(statement_name(id.slot, id.number - 1), fmt::format("it is gone: {} followed it", name));
        } else {
            miss(name, problem);
        }
    }
}

// Collections let go what was forgotten, and say whose commits that were.
void Verification::find_missing_forgets() {
    for (const auto& [collector, verdict] : standing_.verdicts) {
        for (const RunId& snapshot : verdict.snapshots) {
            if (is_there(forget_name(snapshot))) continue;
            miss(forget_name(snapshot),
                 fmt::format("it is gone: {} let the snapshot go because of it", verdict_name(collector)));
        }
    }
}

// Snapshots and unfinished runs name the one that they follow, statements the one that they are about.
void Verification::find_missing_snapshots() {
    std::set<RunId> known(list_.forgotten.begin(), list_.forgotten.end());
    for (const Snapshot& snapshot : list_.snapshots) known.insert(snapshot.id);
    std::vector<std::pair<RunId, std::string>> spoken_of;
    for (const Snapshot& snapshot : list_.snapshots)
        if (snapshot.parent)
            spoken_of.emplace_back(*snapshot.parent,
                                   fmt::format("snapshot {} followed it", snapshot.id.hex()));
    for (const Snapshot& checkpoint : list_checkpoints(*context_, known))
        if (checkpoint.parent)
            spoken_of.emplace_back(*checkpoint.parent,
                                   fmt::format("the unfinished run {} followed it", checkpoint.id.hex()));
    for (const Statement& statement : statements_.statements)
        if (statement.snapshot)
            spoken_of.emplace_back(*statement.snapshot,
                                   statement_name(statement.id.slot, statement.id.number) + " is about it");
    // A forget of these that is gone has been told.
    for (const auto& [_, verdict] : standing_.verdicts)
        known.insert(verdict.snapshots.begin(), verdict.snapshots.end());
    for (const auto& [snapshot, why] : spoken_of) {
        if (!known.insert(snapshot).second || is_accounted_for(snapshot)) continue;
        findings_.damage(commit_name(snapshot), "it is gone although nobody forgot it; " + why,
                         fmt::format("{}; if there is none, or it never was, 'holdfast forget --lost {}'",
                                     restore_hint, snapshot.hex()));
    }
}

// Notes are put behind the verdict that they carry out, and it goes when a later one has united it.
void Verification::find_missing_verdicts() {
    if (!standing_.damaged.empty()) return; // which others it united is not known
    for (const auto& [pack, collector] : notes_of_collectors_) {
        if (standing_.has_ended(collector) || is_there(verdict_name(collector))) continue;
        findings_.damage(
            verdict_name(collector),
            fmt::format("it is gone: {} was put behind it, and no later verdict has united it",
                        moved_name(pack)),
            "restore this object from a copy of the repository; without one, when everything else verifies, "
            "remove that note, and let 'holdfast repair index' make it anew");
    }
}

// The first beat of a run lies there until the run has ended, and goes last.
void Verification::find_missing_intents() {
    std::set<RunId> first, later;
    for (const std::string& name : names_) {
        const ObjectName parsed = *parse_name(name);
        if (parsed.kind == NameKind::intent) (parsed.number == 0 ? first : later).insert(parsed.owner);
    }
    for (const RunId& run : later) {
        if (first.contains(run) || standing_.has_ended(run) || is_accounted_for(run)) continue;
        // It may have ended since it was listed.
        const std::string name = intent_name(run, 0);
        const auto left = list_names(repository_.store(), name.substr(0, name.rfind('-') + 1));
        if (left.empty() || left.front() == name || is_there(verdict_name(run))) continue;
        miss(name, fmt::format("it is gone while {} is there: a collection may not see this run, and delete "
                               "what it needs",
                               left.front()));
    }
}

} // namespace holdfast
