#include "documents/backup/unordered_tree.h"

#include "base/error.h"
#include "repository/node/directory_node.h"

#include <algorithm>

namespace holdfast {

namespace {

constexpr std::size_t spilled_leaf_bytes = std::size_t{64} << 10;

// A leaf in the temporary file.
struct Place {
    std::uint64_t offset = 0;
    std::size_t length = 0;
};
using Run = std::vector<Place>; // ascending names

std::size_t memory_of(const TreeEntry& entry) {
    std::size_t bytes = sizeof entry + entry.name.capacity() + entry.target.capacity();
    if (const auto* extents = std::get_if<Extents>(&entry.content)) bytes += extents->size() * sizeof(Extent);
    if (const auto* groups = std::get_if<SegmentGroups>(&entry.content))
        bytes += groups->size() * sizeof(NodeRef);
    return bytes;
}

std::vector<const TreeEntry*> sorted(const std::vector<TreeEntry>& entries) {
    std::vector<const TreeEntry*> all;
    all.reserve(entries.size());
    for (const TreeEntry& entry : entries) all.push_back(&entry);
    std::ranges::stable_sort(all, {}, &TreeEntry::name);
    return all;
}

// The entries of a run, one after the other.
class RunReader {
  public:
    RunReader(const SpillFile& file, const Run& run) : file_(&file), run_(&run) { next(); }

    const TreeEntry* entry() const { return ended_ ? nullptr : &entry_; }
    void next() {
        while (!leaf_ || !leaf_->next(entry_)) {
            if (at_ == run_->size()) {
                ended_ = true;
                return;
            }
            const Place& place = (*run_)[at_++];
            bytes_ = std::make_unique<Bytes>(place.length);
            if (file_->read(place.offset, *bytes_) != place.length)
                throw Error(ErrorCode::corrupt, "a temporary file is shorter than what was written to it");
            leaf_.emplace(*bytes_);
        }
    }

  private:
    const SpillFile* file_;
    const Run* run_;
    std::size_t at_ = 0;
    std::unique_ptr<Bytes> bytes_;
    std::optional<DirectoryLeafReader> leaf_;
    TreeEntry entry_;
    bool ended_ = false;
};

} // namespace

struct UnorderedTree::Open {
    TreeEntry entry;
    std::vector<TreeEntry> members;
    std::size_t held_bytes = 0;
    std::vector<Run> runs;
    std::unique_ptr<Open> aside;

    // Where what it has in the temporary file ends.
    std::uint64_t spilled_to() const {
        std::uint64_t end = aside ? aside->spilled_to() : 0;
        for (const Run& run : runs) end = std::max(end, run.back().offset + run.back().length);
        return end;
    }
    void count(const TreeEntry& member) {
        if (member.type == EntryType::directory) {
            entry.files += member.files;
            entry.bytes += member.bytes;
        } else if (member.type == EntryType::file) {
            ++entry.files;
            entry.bytes += member.size;
        }
    }
};

UnorderedTree::UnorderedTree(ContentWriter& writer, std::size_t held_bytes, std::string spill_directory)
    : writer_(writer), held_bytes_(held_bytes), spill_(std::move(spill_directory)) {}

UnorderedTree::~UnorderedTree() = default;

void UnorderedTree::enter(TreeEntry directory) {
    open_.push_back(std::make_unique<Open>());
    open_.back()->entry = std::move(directory);
}

void UnorderedTree::add(TreeEntry entry) {
    Open& directory = *open_.back();
    directory.count(entry);
    directory.held_bytes += memory_of(entry);
    directory.members.push_back(std::move(entry));
    if (directory.held_bytes >= held_bytes_) spill(directory);
}

void UnorderedTree::spill(Open& directory) {
    Run run;
    DirectoryLeafBuilder leaf;
    const auto end_leaf = [&] {
        const Bytes bytes = leaf.finish();
        run.push_back({spill_.end(), bytes.size()});
        spill_.append(bytes);
    };
    const TreeEntry* last = nullptr;
    for (const TreeEntry* entry : sorted(directory.members)) {
        if (last != nullptr && last->name == entry->name) continue;
        leaf.add(*entry);
        last = entry;
        if (leaf.encoded_size() >= spilled_leaf_bytes) end_leaf();
    }
    if (!leaf.empty()) end_leaf();
    directory.runs.push_back(std::move(run));
    directory.members.clear();
    directory.held_bytes = 0;
}

NodeRef UnorderedTree::build(const Open& directory, const std::vector<const TreeEntry*>& more,
                             const Each& each) const {
    DirectoryBuilder builder([this](Bytes node) { return writer_.put_node(std::move(node)); });
    std::vector<const TreeEntry*> held = sorted(directory.members);
    held.insert(held.end(), more.begin(), more.end());
    std::ranges::stable_sort(held, {}, &TreeEntry::name);
    std::vector<RunReader> runs;
    for (const Run& run : directory.runs) runs.emplace_back(spill_, run);
    std::string last;
    const auto take = [&](const TreeEntry& entry) {
        if (entry.name == last) return;
        builder.add(entry);
        if (each) each(entry);
        last = entry.name;
    };
    for (auto next = held.begin();;) {
        RunReader* first = nullptr;
        for (RunReader& run : runs) {
            if (run.entry() != nullptr && (first == nullptr || run.entry()->name < first->entry()->name))
                first = &run;
        }
        if (first != nullptr && (next == held.end() || first->entry()->name <= (*next)->name)) {
            take(*first->entry());
            first->next();
        } else if (next != held.end()) {
            take(**next++);
        } else {
            return builder.finish();
        }
    }
}

TreeEntry& UnorderedTree::top() { return open_.back()->entry; }

TreeEntry UnorderedTree::leave(const Each& each) {
    const std::unique_ptr<Open> directory = std::move(open_.back());
    open_.pop_back();
    if (directory->aside) throw Error(ErrorCode::internal, "a directory was left before one that is in it");
    directory->entry.children = build(*directory, {}, each);
    std::uint64_t needed = 0;
    for (const std::unique_ptr<Open>& other : open_) needed = std::max(needed, other->spilled_to());
    spill_.truncate(needed);
    return std::move(directory->entry);
}

void UnorderedTree::set_aside() {
    std::unique_ptr<Open> directory = std::move(open_.back());
    open_.pop_back();
    if (open_.empty() || open_.back()->aside)
        throw Error(ErrorCode::internal, "a second directory was set aside");
    open_.back()->aside = std::move(directory);
}

void UnorderedTree::take_back() {
    if (open_.empty() || !open_.back()->aside)
        throw Error(ErrorCode::internal, "no directory was set aside here");
    open_.push_back(std::move(open_.back()->aside));
}

TreeEntry UnorderedTree::ended_copy(const Open& directory, const TreeEntry* more) const {
    Open copy;
    copy.entry = directory.entry;
    std::vector<const TreeEntry*> members;
    const auto add = [&](const TreeEntry& member) {
        copy.count(member);
        members.push_back(&member);
    };
    std::optional<TreeEntry> aside;
    if (directory.aside) aside = ended_copy(*directory.aside, nullptr);
    if (aside) add(*aside);
    if (more != nullptr) add(*more);
    copy.entry.children = build(directory, members, {});
    return std::move(copy.entry);
}

std::optional<TreeEntry> UnorderedTree::so_far(const TreeEntry* unfinished) const {
    std::optional<TreeEntry> child;
    if (unfinished != nullptr) child = *unfinished;
    for (auto directory = open_.rbegin(); directory != open_.rend(); ++directory)
        child = ended_copy(**directory, child ? &*child : nullptr);
    return open_.empty() ? std::nullopt : child;
}

} // namespace holdfast
