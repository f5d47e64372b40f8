// Random values for tests of nodes: every field takes small, large and largest values.
#pragma once

#include "base/random.h"
#include "repository/node/entry.h"
#include "repository/node/file_map_node.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <string>
#include <vector>

namespace holdfast::testing {

class NodeSamples {
  public:
    explicit NodeSamples(std::uint64_t seed, std::size_t runs = 3) : random_(seed) {
        for (std::size_t i = 0; i < runs; ++i) runs_.push_back(random_.id<16>());
    }

    bool one_in(std::uint64_t n) { return random_.below(n) == 0; }
    std::uint64_t below(std::uint64_t limit) { return random_.below(limit); }
    // Up to `limit` including; small ones and the limit itself are frequent.
    std::uint64_t number(std::uint64_t limit) {
        if (one_in(8)) return limit;
        const std::uint64_t value = random_.u64() >> random_.below(64);
        return limit == std::numeric_limits<std::uint64_t>::max() ? value : value % (limit + 1);
    }
    std::uint32_t number32() {
        return static_cast<std::uint32_t>(number(std::numeric_limits<std::uint32_t>::max()));
    }

    // Any bytes but NUL and '/', so mostly not UTF-8.
    std::string name(std::size_t longest = 40) {
        std::string text(1 + below(longest), '\0');
        for (char& c : text) {
            do c = static_cast<char>(below(256));
            while (c == '\0' || c == '/');
        }
        return text == "." || text == ".." ? "..." : text;
    }

    FrameAddress frame(std::uint8_t kind) {
        PackId pack{runs_[below(runs_.size())], static_cast<std::uint32_t>(below(5)), kind,
                    static_cast<Byte>(below(2))};
        if (one_in(20)) pack.seq = std::numeric_limits<std::uint32_t>::max();
        return {pack, static_cast<std::uint32_t>(number(Extent::hole_frame - 1))};
    }
    NodeRef reference() {
        const auto length = static_cast<std::uint32_t>(1 + below(max_frame_bytes));
        return {
            random_.id<24>(),
            {frame(metadata_pack), static_cast<std::uint32_t>(below(max_frame_bytes - length + 1)), length}};
    }
    // Ascending extents before `end`; holes among them when `holes`.
    std::vector<Extent> extents(std::uint64_t end, bool holes, std::size_t most = 12,
                                std::uint64_t longest = max_frame_bytes) {
        std::vector<Extent> result;
        std::uint64_t position = 0;
        for (std::size_t count = below(most + 1); count > 0; --count) {
            if (!one_in(3)) position += below(longest);
            const std::uint64_t length = 1 + below(longest);
            if (position >= end || length > end - position) break;
            if (holes && one_in(3)) {
                result.push_back(Extent::hole(position, length));
            } else {
                const auto offset = static_cast<std::uint32_t>(below(max_frame_bytes - length + 1));
                result.push_back({position, length, frame(one_in(4) ? log_pack : data_pack), offset});
            }
            position += length;
        }
        return result;
    }
    FileTime time() {
        const auto seconds = static_cast<std::int64_t>(number(std::numeric_limits<std::uint64_t>::max()));
        return {one_in(8) ? std::numeric_limits<std::int64_t>::min() : seconds,
                static_cast<std::uint32_t>(number(999'999'999))};
    }

    TreeEntry entry(std::string name) {
        constexpr EntryType types[] = {
            EntryType::file, EntryType::file,   EntryType::directory,        EntryType::symlink,
            EntryType::fifo, EntryType::socket, EntryType::character_device, EntryType::block_device};
        TreeEntry entry;
        entry.name = std::move(name);
        entry.type = types[below(std::size(types))];
        if (one_in(4)) entry.flags |= entry_flag::changed;
        if (one_in(4)) entry.flags |= entry_flag::fresh_times;
        entry.mode = static_cast<std::uint16_t>(number(07777));
        entry.uid = number32();
        entry.gid = number32();
        if (!one_in(3)) entry.user = one_in(2) ? "root" : "user-" + std::to_string(below(5));
        if (!one_in(3)) entry.group = one_in(2) ? "root" : "group-" + std::to_string(below(5));
        entry.mtime = time();
        entry.ctime = time();
        entry.inode = number(std::numeric_limits<std::uint64_t>::max());
        entry.device = number(std::numeric_limits<std::uint64_t>::max());
        entry.links = number(std::numeric_limits<std::uint64_t>::max());
        if (one_in(4)) {
            for (std::uint64_t count = 1 + below(4); count > 0; --count)
                entry.xattrs.emplace_back(this->name(), this->name(200));
            std::sort(entry.xattrs.begin(), entry.xattrs.end());
            const auto same = [](const auto& a, const auto& b) { return a.first == b.first; };
            entry.xattrs.erase(std::unique(entry.xattrs.begin(), entry.xattrs.end(), same),
                               entry.xattrs.end());
        }
        fill_kind_fields(entry);
        return entry;
    }

  private:
    void fill_kind_fields(TreeEntry& entry) {
        constexpr std::uint64_t largest = std::numeric_limits<std::int64_t>::max();
        switch (entry.type) {
        case EntryType::file:
            fill_content(entry);
            break;
        case EntryType::directory:
            entry.size = number(largest);
            entry.files = number(std::numeric_limits<std::uint64_t>::max());
            entry.bytes = number(std::numeric_limits<std::uint64_t>::max());
            entry.children = reference();
            break;
        case EntryType::symlink:
            entry.target = name(300);
            break;
        case EntryType::character_device:
        case EntryType::block_device:
            entry.major = number32();
            entry.minor = number32();
            break;
        case EntryType::fifo:
        case EntryType::socket:
            break;
        }
    }
    void fill_content(TreeEntry& entry) {
        entry.digest = random_.id<16>();
        switch (below(4)) {
        case 0: // empty, or unreadable
            if (one_in(2)) {
                entry.flags |= entry_flag::unreadable;
                entry.size = number(std::numeric_limits<std::int64_t>::max());
            }
            break;
        case 1: { // segmented
            entry.size = below(std::uint64_t{300} << 30);
            SegmentGroups groups((entry.size + (std::uint64_t{64} << 30) - 1) >> 36);
            for (NodeRef& group : groups) group = reference();
            if (!groups.empty() && one_in(3)) {
                groups.pop_back();
                entry.flags |= entry_flag::incomplete;
            }
            entry.content = std::move(groups);
            break;
        }
        default:
            entry.size = one_in(6) ? std::numeric_limits<std::int64_t>::max() : below(16U << 20);
            entry.content = extents(entry.size, false);
            break;
        }
    }

    SeededRandom random_;
    std::vector<RunId> runs_;
};

} // namespace holdfast::testing
