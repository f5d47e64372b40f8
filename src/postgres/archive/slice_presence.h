// What an archive has where a slice is to go.
#pragma once

#include "postgres/archive/wal_archive.h"
#include "postgres/archive/wal_slicer.h"
#include "repository/log/log_writer.h"

namespace holdfast::postgres {

enum class SlicePresence {
    unknown, // it has not all of it, or it cannot be read
    same,    // it has these bytes
    other,   // it has other bytes for some of it: two clusters write it, or one was set back
};

SlicePresence presence_of(const WalArchive& archive, const LogWriter& log, bool reads_content,
                          const CutSlice& slice, const CallOptions& call);

} // namespace holdfast::postgres
