// Slices on their way into an archive that may have them already: what is there is not stored again, and what
// contradicts it is said.
#pragma once

#include "postgres/archive/slice_upload.h"
#include "postgres/archive/wal_archive.h"
#include "repository/log/log_writer.h"
#include "repository/repository.h"

#include <atomic>
#include <stop_token>
#include <string>
#include <vector>

namespace holdfast::postgres {

struct SliceIntakeSettings {
    std::string source; // for messages
    unsigned workers = 2;
    int compression_level = 1;
};

// One thread adds. Destroyed before finish(), it stops.
class SliceIntake {
  public:
    enum class Outcome { stored, already_there, beside };

    // The repository must outlive it.
    SliceIntake(Repository& repository, ArchiveId archive, SliceIntakeSettings settings,
                std::stop_token stop);

    // Adds a slice unless the archive has its content. `beside`: it has another one for the same stretch;
    // both are kept, and that is an alarm.
    Outcome add(CutSlice slice);
    // The history file of a timeline, likewise.
    Outcome add_history(TimelineId timeline, std::string_view text, std::uint64_t system_identifier);
    // Returns when all that was added is durable.
    void finish() { upload_.finish(); }

    void alarm(std::string what);
    // What an operator must know.
    std::vector<std::string>& alarms() { return alarms_; }
    std::uint64_t stored_bytes() const { return stored_bytes_; }

  private:
    Repository& repository_;
    const SliceIntakeSettings settings_;
    std::stop_token stop_;
    WalArchive archive_;
    LogWriter log_;
    std::vector<std::string> alarms_;
    std::atomic<std::uint64_t> stored_bytes_{0};
    SliceUpload upload_; // behind what its workers use
};

} // namespace holdfast::postgres
