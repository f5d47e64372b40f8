// How far a spool is durable, known also after the machine itself has stopped.
#pragma once

#include "base/file_descriptor.h"
#include "postgres/receive/wal_position.h"

#include <optional>
#include <string>

namespace holdfast::postgres {

// A small file with two places that are written in turn, each within a sector of its own: a write that a
// power cut tears leaves the one before. Not thread-safe.
class SyncedMark {
  public:
    // Makes the file when it is missing.
    explicit SyncedMark(std::string path);

    // What was written last; nothing when nothing was.
    const std::optional<WalPosition>& position() const { return position_; }
    // Durable when it returns.
    void write(WalPosition position);

  private:
    void load();

    const std::string path_;
    FileDescriptor file_;
    std::uint64_t number_ = 0; // of writes
    std::optional<WalPosition> position_;
};

} // namespace holdfast::postgres
