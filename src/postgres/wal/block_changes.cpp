#include "postgres/wal/block_changes.h"

#include "base/error.h"
#include "postgres/wal/wal_reader.h"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

namespace holdfast::postgres {

namespace {

// What an entry takes beside its blocks: itself, its key, and its place in the table.
constexpr std::size_t fork_overhead_bytes = 128;
constexpr std::uint64_t never_shortened = std::uint64_t{1} << 32;

template <typename... Handlers>
struct Overloaded : Handlers... {
    using Handlers::operator()...;
};

bool is_described(Fork fork) { return fork == Fork::main || fork == Fork::init; }

} // namespace

BlockChanges::BlockChanges(Lsn from, std::size_t memory_max)
    : from_(from), to_(from), memory_max_(memory_max) {}

void BlockChanges::extend_to(Lsn to) {
    if (to < to_)
        throw Error(ErrorCode::usage, fmt::format("a change map that reaches {} cannot be made to end at {}",
                                                  to_.str(), to.str()));
    to_ = to;
}

void BlockChanges::add(const WalRecord& record, const wal_event::Event& event) {
    if (record.start < to_)
        throw Error(ErrorCode::usage,
                    fmt::format("the log record at {} is before {}, where the change map is",
                                record.start.str(), to_.str()));
    for (const BlockReference& reference : record.blocks)
        if (is_described(reference.fork)) touch(reference.relation, reference.fork, reference.block);
    if (!std::holds_alternative<std::monostate>(event)) apply(event, record.start);
    to_ = record.end;
    if (memory_ > memory_max_) shrink();
}

void BlockChanges::changed_memory(std::size_t before, std::size_t after) {
    memory_ = memory_ + after - before;
}

BlockChanges::ForkEntry* BlockChanges::entry_of(const RelationFile& relation, Fork fork) {
    const ForkKey key{relation, fork};
    if (last_entry_ != nullptr && last_key_ == key) return last_entry_;
    auto found = forks_.find(key);
    if (found == forks_.end()) {
        if (of_directory(relation.tablespace, relation.database).whole()) return nullptr;
        found = forks_.try_emplace(key).first;
        changed_memory(0, fork_overhead_bytes);
    }
    last_key_ = key;
    last_entry_ = &found->second;
    return last_entry_;
}

void BlockChanges::touch(const RelationFile& relation, Fork fork, BlockNumber block) {
    ForkEntry* const entry = entry_of(relation, fork);
    if (entry == nullptr || block >= entry->shortest) return;
    const std::size_t before = entry->blocks.memory_bytes();
    entry->blocks.add(block);
    changed_memory(before, entry->blocks.memory_bytes());
}

void BlockChanges::shorten(ForkEntry& entry, std::uint64_t length) {
    if (length >= entry.shortest) return;
    const std::size_t before = entry.blocks.memory_bytes();
    entry.shortest = length;
    if (length == 0)
        entry.blocks.clear();
    else
        entry.blocks.cut(static_cast<BlockNumber>(length));
    changed_memory(before, entry.blocks.memory_bytes());
}

void BlockChanges::forget(Directory directory) {
    last_entry_ = nullptr;
    std::erase_if(forks_, [&](const auto& item) {
        const auto& [key, entry] = item;
        if (key.relation.tablespace != directory.first || key.relation.database != directory.second)
            return false;
        changed_memory(fork_overhead_bytes + entry.blocks.memory_bytes(), 0);
        return true;
    });
}

void BlockChanges::make_whole(Directory directory, bool DirectoryEvents::* why) {
    DirectoryEvents& events = directories_[directory];
    const bool was_whole = events.whole();
    events.*why = true;
    if (!was_whole) forget(directory);
}

void BlockChanges::raise(Doubt doubt, Lsn at) {
    Lsn& first = doubts_[static_cast<std::size_t>(doubt)];
    if (!first || at < first) first = at;
}

void BlockChanges::apply(const wal_event::Event& event, Lsn at) {
    using namespace wal_event;
    const auto level = [&](std::optional<WalLevel> wal_level) {
        if (wal_level == WalLevel::minimal) raise(Doubt::minimal_wal, at);
    };
    const auto full_page_writes = [&](bool on) {
        if (!on) raise(Doubt::full_page_writes_off, at);
    };
    std::visit(Overloaded{
                   [&](const TransactionEnd& end) {
                       for (const RelationFile& relation : end.dropped)
                           if (ForkEntry* const entry = entry_of(relation, Fork::main)) {
                               entry->dropped = true;
                               shorten(*entry, 0);
                           }
                   },
                   [&](const Checkpoint& checkpoint) {
                       full_page_writes(checkpoint.full_page_writes);
                       level(checkpoint.wal_level);
                   },
                   [&](const CheckpointRedo& redo) { level(redo.wal_level); },
                   [&](const EndOfRecovery& end) { level(end.wal_level); },
                   [&](const ParameterChange& change) { level(change.wal_level); },
                   [&](const FullPageWritesChange& change) { full_page_writes(change.on); },
                   [&](const OverwriteContinuation&) { raise(Doubt::overwritten_record, at); },
                   [&](const UnknownFileChange&) { raise(Doubt::unknown_file_change, at); },
                   [&](const StorageCreate& create) {
                       if (!is_described(create.fork)) return;
                       if (ForkEntry* const entry = entry_of(create.relation, create.fork)) {
                           entry->created = true;
                           shorten(*entry, 0);
                       }
                   },
                   [&](const StorageTruncate& truncate) {
                       if (!truncate.main) return;
                       if (ForkEntry* const entry = entry_of(truncate.relation, Fork::main))
                           shorten(*entry, truncate.blocks);
                   },
                   [&](const DatabaseCopy& copy) {
                       make_whole({copy.tablespace, copy.database}, &DirectoryEvents::copied);
                   },
                   [&](const DatabaseCreate& create) {
                       make_whole({create.tablespace, create.database}, &DirectoryEvents::created);
                   },
                   [&](const DatabaseDrop& drop) {
                       for (const Oid tablespace : drop.tablespaces)
                           make_whole({tablespace, drop.database}, &DirectoryEvents::dropped);
                   },
                   [&](const TablespaceCreate& create) { tablespaces_[create.tablespace].created = true; },
                   [&](const TablespaceDrop& drop) { tablespaces_[drop.tablespace].dropped = true; },
                   [&](const RelationMapUpdate& update) {
                       directories_[{update.tablespace, update.database}].relation_map_updated = true;
                   },
                   [](const auto&) {},
               },
               event);
}

void BlockChanges::append(const BlockChanges& next) {
    if (!same_record_start(to_, next.from_))
        throw Error(ErrorCode::usage,
                    fmt::format("a change map that begins at {} does not follow one that ends at {}",
                                next.from_.str(), to_.str()));
    const Lsn to = std::max(to_, next.to_);
    unite(next);
    to_ = to;
}

// The order in which two maps are united does not matter: a truncation in either makes the upper part unknown
// in both, and everything below is the union.
void BlockChanges::unite(const BlockChanges& other) {
    for (std::size_t i = 0; i < doubts; ++i)
        if (other.doubts_[i]) raise(static_cast<Doubt>(i), other.doubts_[i]);
    for (const auto& [tablespace, events] : other.tablespaces_) {
        TablespaceEvents& mine = tablespaces_[tablespace];
        mine.created |= events.created;
        mine.dropped |= events.dropped;
    }
    for (const auto& [directory, events] : other.directories_) {
        DirectoryEvents& mine = directories_[directory];
        const bool was_whole = mine.whole();
        mine.copied |= events.copied;
        mine.created |= events.created;
        mine.dropped |= events.dropped;
        mine.relation_map_updated |= events.relation_map_updated;
        mine.too_much |= events.too_much;
        if (mine.whole() && !was_whole) forget(directory);
    }
    for (const auto& [key, theirs] : other.forks_) {
        ForkEntry* const mine = entry_of(key.relation, key.fork);
        if (mine == nullptr) continue;
        mine->created |= theirs.created;
        mine->dropped |= theirs.dropped;
        shorten(*mine, theirs.shortest);
        if (mine->shortest != 0) {
            const std::size_t before = mine->blocks.memory_bytes();
            mine->blocks.unite(theirs.blocks);
            if (mine->shortest < never_shortened) mine->blocks.cut(static_cast<BlockNumber>(mine->shortest));
            changed_memory(before, mine->blocks.memory_bytes());
        }
    }
    if (memory_ > memory_max_) shrink();
}

// Gives up precision where it costs most: the sets that are larger than the average become coarser, and when
// sets are not what takes the memory, the directory with the most forks is given up. The result depends on
// what the map holds, not on the order of its tables.
void BlockChanges::shrink() {
    const std::size_t goal = memory_max_ / 4 * 3;
    while (memory_ > goal && !forks_.empty()) {
        const std::size_t average = memory_ / forks_.size();
        bool smaller = false;
        for (auto& [key, entry] : forks_) {
            const std::size_t before = entry.blocks.memory_bytes();
            if (before + fork_overhead_bytes < average) continue;
            entry.blocks.coarsen();
            const std::size_t after = entry.blocks.memory_bytes();
            changed_memory(before, after);
            smaller |= after < before;
        }
        if (!smaller) make_whole(most_forks(), &DirectoryEvents::too_much);
    }
}

BlockChanges::Directory BlockChanges::most_forks() const {
    std::map<Directory, std::size_t> counts;
    for (const auto& [key, entry] : forks_) ++counts[{key.relation.tablespace, key.relation.database}];
    return std::ranges::max_element(counts, {}, [](const auto& item) { return item.second; })->first;
}

BlockChanges::ForkChanges BlockChanges::of_fork(const RelationFile& relation, Fork fork) const {
    if (!is_described(fork) || of_directory(relation.tablespace, relation.database).whole())
        return {0, nullptr};
    // A drop counts for all forks, and is kept with the main one.
    if (fork != Fork::main && of_relation(relation).dropped) return {0, nullptr};
    const auto found = forks_.find({relation, fork});
    if (found == forks_.end()) return {};
    const ForkEntry& entry = found->second;
    return {entry.shortest, entry.blocks.empty() ? nullptr : &entry.blocks};
}

BlockChanges::RelationEvents BlockChanges::of_relation(const RelationFile& relation) const {
    RelationEvents events;
    for (const Fork fork : {Fork::main, Fork::init})
        if (const auto found = forks_.find({relation, fork}); found != forks_.end()) {
            events.created |= found->second.created;
            events.dropped |= found->second.dropped;
        }
    return events;
}

BlockChanges::DirectoryEvents BlockChanges::of_directory(Oid tablespace, Oid database) const {
    const auto found = directories_.find({tablespace, database});
    return found == directories_.end() ? DirectoryEvents{} : found->second;
}

BlockChanges::TablespaceEvents BlockChanges::of_tablespace(Oid tablespace) const {
    const auto found = tablespaces_.find(tablespace);
    return found == tablespaces_.end() ? TablespaceEvents{} : found->second;
}

bool BlockChanges::makes_tablespaces() const {
    return std::ranges::any_of(tablespaces_, [](const auto& one) { return one.second.created; });
}

bool BlockChanges::copies_directories() const {
    return std::ranges::any_of(directories_, [](const auto& one) { return one.second.copied; });
}

bool BlockChanges::usable() const {
    return !doubt(Doubt::minimal_wal) && !doubt(Doubt::unknown_file_change) &&
           !doubt(Doubt::overwritten_record);
}

void BlockChanges::settle() const {
    for (const auto& [key, entry] : forks_) entry.blocks.settle();
}

std::uint64_t BlockChanges::blocks() const {
    std::uint64_t count = 0;
    for (const auto& [key, entry] : forks_) count += entry.blocks.count();
    return count;
}

} // namespace holdfast::postgres
