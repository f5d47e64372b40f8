// Config, keys, and every other small object: form, name, writer, signature, encryption, and what is inside.

#include "base/error.h"
#include "repository/config.h"
#include "repository/moved_pack.h"
#include "repository/object.h"
#include "repository/protocol/protocol_object.h"
#include "repository/protocol/run_intent.h"
#include "repository/protocol/statement.h"
#include "repository/protocol/verdict.h"
#include "service/verification.h"

#include <algorithm>

#include <fmt/format.h>

namespace holdfast {

namespace {

constexpr std::string_view restore_hint = "restore this object from a copy of the repository";

// Throws Error(corrupt) when the body is not what the kind says.
void check_body(const ObjectName& name, ObjectKind kind, ByteView body) {
    switch (kind) {
    case ObjectKind::intent:
        decode_intent(body);
        return;
    case ObjectKind::commit:
    case ObjectKind::checkpoint:
        decode_snapshot(body, name.owner);
        return;
    case ObjectKind::statement:
        decode_statement(body, {name.owner, name.number});
        return;
    case ObjectKind::condemned:
        decode_condemned_list(body);
        return;
    case ObjectKind::verdict:
        decode_verdict(body);
        return;
    default:
        return;
    }
}

} // namespace

// Whoever opened the repository has read these already; since then they may have been damaged.
void Verification::check_trust() {
    next_phase("checking keys");
    Store& store = repository_.store();
    const Trust* trust = &repository_.trust();
    try {
        const RepositoryConfig config = load_config(store);
        if (config.repository != repository_.config().repository ||
            config.root != repository_.config().root) {
            throw Error(ErrorCode::corrupt, "config: it is that of another repository",
                        std::string(restore_hint));
        }
        fresh_trust_ = Trust::load(store, config);
        trust = &*fresh_trust_;
        for (const IgnoredObject& ignored : fresh_trust_->ignored()) {
            findings_.damage(ignored.name, ignored.reason,
                             "a key slot that does not count cannot open the repository");
        }
    } catch (const Error& error) {
        findings_.take(error, std::string(config_name));
    }
    context_.emplace(
        RepositoryContext{store, repository_.keys(), *trust, repository_.clock(), repository_.random()});
}

void Verification::choose_snapshots() {
    next_phase("reading snapshots");
    list_ = list_snapshots(*context_);
    for (const Snapshot& snapshot : list_.snapshots) {
        if (settings_.snapshots.empty() ||
            std::ranges::find(settings_.snapshots, snapshot.id) != settings_.snapshots.end())
            chosen_.push_back(snapshot);
    }
    for (const RunId& id : settings_.snapshots) {
        if (std::ranges::find(chosen_, id, &Snapshot::id) != chosen_.end()) continue;
        const std::string name = commit_name(id);
        if (std::ranges::find(list_.damaged, name) != list_.damaged.end())
            continue; // told with the other objects
        throw Error(ErrorCode::usage, fmt::format("there is no snapshot {}", id.hex()),
                    "'holdfast snapshots' lists those that there are");
    }
    for (const Snapshot& snapshot : chosen_) report_.snapshots.push_back(snapshot.id);
}

void Verification::list_objects() {
    next_phase("listing");
    repository_.store().list("", "",
                             [&](const ObjectInfo& info) {
                                 const auto name = parse_name(info.name);
                                 if (!name) {
                                     ++report_.foreign_objects;
                                 } else if (name->kind == NameKind::pack) {
                                     packs_.push_back({name->pack(), info.size_bytes, false});
                                     listed_packs_.insert(name->pack());
                                     ++report_.packs;
                                     report_.pack_bytes += info.size_bytes;
                                 } else if (name->kind == NameKind::index_segment) {
                                     segments_.emplace_back(info.name, info.size_bytes);
                                 } else if (name->kind == NameKind::log_slice) {
                                     slices_.push_back(*LogSliceId::from_name(info.name));
                                     ++report_.log_slices;
                                     report_.log_bytes += info.size_bytes;
                                 } else if (name->kind != NameKind::probe) {
                                     names_.push_back(info.name);
                                 }
                                 return !stop_.stop_requested();
                             },
                             {});
    std::ranges::sort(names_);
    std::ranges::sort(segments_);
}

void Verification::check_objects() {
    next_phase("checking objects");
    progress_.set_total(0, names_.size());
    for_each_parallel(names_.size(), settings_.requests, stop_, [&](std::size_t i) {
        check_object_of(names_[i]);
        progress_.add_done(0, 1);
    });
}

void Verification::check_object_of(const std::string& name) {
    const ObjectName parsed = *parse_name(name);
    // These were checked with the keys.
    if (parsed.kind == NameKind::config || parsed.kind == NameKind::slot ||
        parsed.kind == NameKind::revocation) {
        ++objects_;
        return;
    }
    try {
        const std::optional<Bytes> bytes = repository_.store().get(name, {}, {});
        if (!bytes) return; // removed since it was listed
        ++objects_;
        if (parsed.kind == NameKind::grant) {
            check_object(name, *bytes, context_->trust);
            const std::scoped_lock lock(mutex_);
            std::uint32_t& newest = grants_[parsed.owner];
            newest = std::max(newest, parsed.number);
            return;
        }
        OpenedObject object;
        try {
            object = open_object(name, *bytes, context_->keys, context_->trust);
        } catch (const Error& error) {
            if (error.code() != ErrorCode::wrong_key) throw;
            check_object(name, *bytes, context_->trust);
            throw; // who wrote it is known; what it says is not
        }
        check_body(parsed, object.kind, object.body);
        if (object.kind == ObjectKind::moved) {
            const std::vector<std::string> targets = decode_moved(object.body);
            const std::scoped_lock lock(mutex_);
            for (const std::string& target : targets) {
                const auto pack = PackId::from_name(target);
                if (!pack) continue;
                moves_[parsed.pack()].push_back(*pack);
                if (pack->run == object.run) notes_of_collectors_.emplace_back(parsed.pack(), object.run);
            }
        }
    } catch (const Error& error) {
        findings_.take(error.hint().empty() ? error.with_hint(std::string(restore_hint)) : error, name);
        if (parsed.kind != NameKind::moved) return;
        // What is to be blamed for frames of that pack that are not found has been told.
        const std::scoped_lock lock(mutex_);
        unreadable_packs_.insert(parsed.pack());
    }
}

} // namespace holdfast
