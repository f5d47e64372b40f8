#include "repository/node/directory_leaf.h"

#include "base/error.h"
#include "crypto/hash.h"

#include <algorithm>
#include <limits>

namespace holdfast {

namespace {

constexpr std::uint64_t u32_max = std::numeric_limits<std::uint32_t>::max();
constexpr std::uint64_t size_max = std::numeric_limits<std::int64_t>::max(); // as file systems count
constexpr std::uint32_t mode_max = 07777;
constexpr std::uint32_t nanoseconds_max = 999'999'999;
constexpr std::uint8_t flag_attributes = 1;
// An entry of the shortest name, with all its fixed fields and one byte for each number.
constexpr std::size_t smallest_entry_bytes = 17;
constexpr std::size_t smallest_reference_bytes = 28;

[[noreturn]] void defect(std::string_view name, const char* what) {
    throw Error(ErrorCode::internal, "the directory entry \"" + std::string(name) + "\" " + what);
}

bool known_type(std::uint8_t type) {
    switch (static_cast<EntryType>(type)) {
    case EntryType::file:
    case EntryType::directory:
    case EntryType::symlink:
    case EntryType::fifo:
    case EntryType::socket:
    case EntryType::character_device:
    case EntryType::block_device:
        return true;
    }
    return false;
}

bool has_nul(std::string_view text) { return text.find('\0') != std::string_view::npos; }

std::uint64_t groups_of(std::uint64_t size) {
    return size / segment_group_bytes + (size % segment_group_bytes != 0 ? 1 : 0);
}

// The rules that concern an entry as a whole, the same for both directions. Returns what is wrong, or
// nullptr.
const char* broken_rule(const TreeEntry& entry) {
    if ((entry.flags & ~entry_flag::all) != 0) return "has unknown flags";
    if (entry.mode > mode_max) return "has a mode above 07777";
    if (entry.mtime.nanoseconds > nanoseconds_max || entry.ctime.nanoseconds > nanoseconds_max)
        return "has a time with too many nanoseconds";
    if (entry.size > size_max) return "has an impossible size";
    const bool unreadable = (entry.flags & entry_flag::unreadable) != 0;
    const bool incomplete = (entry.flags & entry_flag::incomplete) != 0;
    if (incomplete && entry.type != EntryType::file) return "is incomplete but not a file";
    if (entry.type == EntryType::symlink) {
        if (entry.target.empty() && !unreadable) return "is a symbolic link to nothing";
        if (has_nul(entry.target)) return "is a symbolic link with a NUL in its target";
    }
    if (entry.type != EntryType::file) return nullptr;
    if (std::holds_alternative<std::monostate>(entry.content) && entry.size != 0 && !unreadable)
        return "has a size but no content";
    if (const auto* groups = std::get_if<SegmentGroups>(&entry.content)) {
        const std::uint64_t wanted = groups_of(entry.size);
        if (groups->size() > wanted || (groups->size() < wanted && !incomplete))
            return "has a number of segment groups that does not fit its size";
    }
    return nullptr;
}

} // namespace

bool is_entry_name(std::string_view name) {
    return !name.empty() && name.size() <= max_name_bytes && name != "." && name != ".." && !has_nul(name) &&
           name.find('/') == std::string_view::npos;
}

std::size_t entry_size_bound(const TreeEntry& entry) {
    constexpr std::size_t number = 10; // the longest varint
    constexpr std::size_t pack = 40;   // the longest pack in the table, with a run of its own
    std::size_t size =
        24 * number + pack + entry.name.size() + entry.user.size() + entry.group.size() + entry.target.size();
    for (const auto& [name, value] : entry.xattrs) size += 2 * number + name.size() + value.size();
    if (const auto* extents = std::get_if<Extents>(&entry.content))
        size += extents->size() * (3 * number + pack);
    if (const auto* groups = std::get_if<SegmentGroups>(&entry.content))
        size += groups->size() * (24 + 2 * number + pack);
    return size;
}

bool NodeCut::ends_behind(std::string_view name, std::size_t size) {
    if (size < least_bytes) return false;
    if (size >= most_bytes) return true;
    // Rare cuts over a long stretch: two sequences of cuts that an insertion has shifted then meet again
    // soon.
    const Byte mask = size < easier_from_bytes ? 0xff : 0x1f;
    return (derive_hash<1>("holdfast leaf", as_bytes(name)).bytes[0] & mask) == 0;
}

void DirectoryLeafBuilder::add(const TreeEntry& entry) {
    if (!is_entry_name(entry.name)) defect(entry.name, "has a name that no entry may have");
    if (entry.name <= last_name_) defect(entry.name, "is out of order");
    if (const char* rule = broken_rule(entry)) defect(entry.name, rule);
    if (entry_size_bound(entry) > max_entry_bytes)
        throw Error(ErrorCode::unsupported,
                    "the directory entry \"" + entry.name + "\" is larger than 512 KiB",
                    "leave out some of its extended attributes");
    entries_.sized(entry.name);
    entries_.u8(static_cast<std::uint8_t>(entry.type));
    entries_.u8(static_cast<std::uint8_t>(entry.flags | (entry.xattrs.empty() ? 0 : flag_attributes)));
    entries_.varint(entry.mode);
    entries_.varint(entry.uid);
    entries_.varint(entry.gid);
    entries_.varint(owner_index(entry.user));
    entries_.varint(owner_index(entry.group));
    entries_.signed_varint(entry.mtime.seconds);
    entries_.varint(entry.mtime.nanoseconds);
    entries_.signed_varint(entry.ctime.seconds);
    entries_.varint(entry.ctime.nanoseconds);
    entries_.varint(entry.inode);
    entries_.varint(entry.device);
    entries_.varint(entry.links);
    entries_.varint(entry.size);
    if (!entry.xattrs.empty()) entries_.varint(entry.xattrs.size());
    std::string_view last_attribute;
    for (const auto& [name, value] : entry.xattrs) {
        if (name <= last_attribute || has_nul(name))
            defect(entry.name, "has attributes out of order or misnamed");
        last_attribute = name;
        entries_.sized(name);
        entries_.sized(value);
    }
    add_content(entry);
    last_name_ = entry.name;
    ++count_;
}

void DirectoryLeafBuilder::add_content(const TreeEntry& entry) {
    switch (entry.type) {
    case EntryType::file:
        entries_.fixed_bytes(entry.digest);
        entries_.u8(static_cast<std::uint8_t>(entry.content.index()));
        if (const auto* extents = std::get_if<Extents>(&entry.content)) {
            packs_.extents(entries_, *extents, entry.size, false);
        } else if (const auto* groups = std::get_if<SegmentGroups>(&entry.content)) {
            entries_.varint(groups->size());
            for (const NodeRef& group : *groups) packs_.reference(entries_, group);
        }
        return;
    case EntryType::directory:
        entries_.varint(entry.files);
        entries_.varint(entry.bytes);
        packs_.reference(entries_, entry.children);
        return;
    case EntryType::symlink:
        entries_.sized(entry.target);
        return;
    case EntryType::character_device:
    case EntryType::block_device:
        entries_.varint(entry.major);
        entries_.varint(entry.minor);
        return;
    case EntryType::fifo:
    case EntryType::socket:
        return;
    }
    defect(entry.name, "is of an unknown type");
}

std::uint32_t DirectoryLeafBuilder::owner_index(const std::string& name) {
    if (name.empty()) return 0;
    if (const auto known = owner_index_.find(std::string_view(name)); known != owner_index_.end())
        return known->second;
    if (has_nul(name)) defect(name, "is not a name of a user or group");
    owners_.sized(name);
    const auto index = static_cast<std::uint32_t>(owner_index_.size() + 1);
    owner_index_.emplace(name, index);
    return index;
}

std::size_t DirectoryLeafBuilder::encoded_size() const {
    return packs_.encoded_size() + varint_size(owner_index_.size()) + owners_.size() + varint_size(count_) +
           entries_.size();
}

Bytes DirectoryLeafBuilder::finish() {
    ByteWriter out;
    packs_.head(out, NodeKind::directory_leaf);
    out.varint(owner_index_.size());
    out.raw(owners_.bytes());
    out.varint(count_);
    out.raw(entries_.bytes());
    packs_.clear();
    owners_.clear();
    owner_index_.clear();
    entries_.clear();
    count_ = 0;
    return std::move(out).take();
}

DirectoryLeafReader::DirectoryLeafReader(ByteView node)
    : in_(node, "a directory leaf"), packs_(in_, NodeKind::directory_leaf) {
    owners_.resize(in_.varint_at_most(in_.remaining() / 2));
    for (std::string_view& owner : owners_) {
        owner = in_.sized_text();
        if (owner.empty() || has_nul(owner)) in_.fail("an owner has no proper name");
    }
    std::vector<std::string_view> sorted = owners_;
    std::sort(sorted.begin(), sorted.end());
    if (std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end())
        in_.fail("an owner is listed twice");
    count_ = in_.varint_at_most(in_.remaining() / smallest_entry_bytes);
}

bool DirectoryLeafReader::next(TreeEntry& entry) {
    if (read_ == count_) {
        packs_.finish(in_);
        if (used_owners_ != owners_.size()) in_.fail("an owner is listed but not used");
        return false;
    }
    read_name(entry);
    const std::uint8_t type = in_.u8();
    if (!known_type(type)) in_.fail("an entry is of an unknown type");
    entry.type = static_cast<EntryType>(type);
    const std::uint8_t flags = in_.u8();
    entry.flags = flags & static_cast<std::uint8_t>(~flag_attributes);
    entry.mode = static_cast<std::uint16_t>(in_.varint_at_most(mode_max));
    entry.uid = static_cast<std::uint32_t>(in_.varint_at_most(u32_max));
    entry.gid = static_cast<std::uint32_t>(in_.varint_at_most(u32_max));
    read_owner(entry.user);
    read_owner(entry.group);
    entry.mtime.seconds = in_.signed_varint();
    entry.mtime.nanoseconds = static_cast<std::uint32_t>(in_.varint_at_most(nanoseconds_max));
    entry.ctime.seconds = in_.signed_varint();
    entry.ctime.nanoseconds = static_cast<std::uint32_t>(in_.varint_at_most(nanoseconds_max));
    entry.inode = in_.varint();
    entry.device = in_.varint();
    entry.links = in_.varint();
    entry.size = in_.varint_at_most(size_max);
    read_attributes(entry, (flags & flag_attributes) != 0);
    read_kind_fields(entry);
    if (const char* rule = broken_rule(entry)) in_.fail(std::string("an entry ") + rule);
    if (entry_size_bound(entry) > max_entry_bytes) in_.fail("an entry is larger than 512 KiB");
    ++read_;
    return true;
}

void DirectoryLeafReader::read_name(TreeEntry& entry) {
    const std::string_view name = in_.sized_text(max_name_bytes);
    if (!is_entry_name(name)) in_.fail("an entry has a name that none may have");
    if (name <= last_name_) in_.fail("entries are out of order");
    last_name_ = name;
    entry.name.assign(name);
}

void DirectoryLeafReader::read_owner(std::string& name) {
    const std::uint64_t index = in_.varint();
    if (index == 0) {
        name.clear();
        return;
    }
    if (index > owners_.size() || index > used_owners_ + 1)
        in_.fail("an owner is not in the table, or out of turn");
    if (index > used_owners_) ++used_owners_;
    name.assign(owners_[index - 1]);
}

void DirectoryLeafReader::read_attributes(TreeEntry& entry, bool present) {
    if (!present) {
        entry.xattrs.clear();
        return;
    }
    entry.xattrs.resize(in_.varint_at_most(in_.remaining() / 2));
    if (entry.xattrs.empty()) in_.fail("an entry says that it has attributes, but has none");
    std::string_view last;
    for (auto& [name, value] : entry.xattrs) {
        const std::string_view text = in_.sized_text();
        if (text <= last || has_nul(text)) in_.fail("attributes are out of order or misnamed");
        last = text;
        name.assign(text);
        value.assign(in_.sized_text());
    }
}

// Fields of other types are reset, so that a reused entry equals a fresh one.
void DirectoryLeafReader::read_kind_fields(TreeEntry& entry) {
    if (entry.type == EntryType::file) {
        entry.digest = in_.fixed_bytes<16>();
        read_content(entry);
    } else {
        entry.digest = {};
        entry.content.emplace<std::monostate>();
    }
    if (entry.type == EntryType::directory) {
        entry.files = in_.varint();
        entry.bytes = in_.varint();
        packs_.reference(in_, entry.children);
    } else {
        entry.files = entry.bytes = 0;
        entry.children = {};
    }
    if (entry.type == EntryType::symlink)
        entry.target.assign(in_.sized_text());
    else
        entry.target.clear();
    const bool device = entry.type == EntryType::character_device || entry.type == EntryType::block_device;
    entry.major = device ? static_cast<std::uint32_t>(in_.varint_at_most(u32_max)) : 0;
    entry.minor = device ? static_cast<std::uint32_t>(in_.varint_at_most(u32_max)) : 0;
}

void DirectoryLeafReader::read_content(TreeEntry& entry) {
    const std::uint8_t kind = in_.u8();
    if (kind == 0) {
        entry.content.emplace<std::monostate>();
    } else if (kind == 1) {
        auto* extents = std::get_if<Extents>(&entry.content);
        if (extents == nullptr) extents = &entry.content.emplace<Extents>();
        packs_.extents(in_, *extents, entry.size, false);
    } else if (kind == 2) {
        auto* groups = std::get_if<SegmentGroups>(&entry.content);
        if (groups == nullptr) groups = &entry.content.emplace<SegmentGroups>();
        groups->resize(in_.varint_at_most(in_.remaining() / smallest_reference_bytes));
        for (NodeRef& group : *groups) packs_.reference(in_, group);
    } else {
        in_.fail("a file has content of an unknown kind");
    }
}

} // namespace holdfast
