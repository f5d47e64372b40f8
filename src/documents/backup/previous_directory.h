// One directory as earlier snapshots have it, looked up in step with the walk.
#pragma once

#include "base/error.h"
#include "repository/node/directory_cursor.h"

#include <vector>

namespace holdfast {

// Not thread-safe. A tree that cannot be read is passed over from there on: its files are read again, and the
// damage is for verification to tell.
class PreviousDirectory {
  public:
    PreviousDirectory() = default;
    // `directories` are the children references of the same directory in several snapshots; `observe` is told
    // of every node that is read.
    PreviousDirectory(NodeReader& nodes, const std::vector<NodeRef>& directories,
                      const std::function<void(const NodeRef&)>& observe) {
        for (const NodeRef& directory : directories) {
            guarded([&] { cursors_.emplace_back(nodes, directory, observe); });
        }
    }

    // The entries of this name, the most recent snapshot first. Names must be asked for in ascending order.
    // Valid until the next call.
    std::vector<const TreeEntry*> find(std::string_view name) {
        std::vector<const TreeEntry*> found;
        for (std::size_t i = 0; i < cursors_.size(); ++i) {
            const bool readable = guarded([&] {
                if (const TreeEntry* entry = cursors_[i].seek(name)) found.push_back(entry);
            });
            if (!readable) cursors_.erase(cursors_.begin() + static_cast<std::ptrdiff_t>(i--));
        }
        return found;
    }

  private:
    template <typename Read>
    static bool guarded(Read&& read) {
        try {
            read();
            return true;
        } catch (const Error& error) {
            if (error.code() == ErrorCode::corrupt || error.code() == ErrorCode::wrong_key) return false;
            throw;
        }
    }
    std::vector<DirectoryCursor> cursors_;
};

} // namespace holdfast
