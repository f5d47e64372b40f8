// Which slices cover a range of a log, and truly do.
#pragma once

#include "repository/log/log_path.h"
#include "repository/log/log_reader.h"

#include <set>

namespace holdfast {

// Finds paths as find_path does, but by slices only whose writers count: names say nothing, since whoever can
// write to the store can give any. Asks for each slice of a path once, several at a time, and remembers the
// answer: a few kilobytes each, which prove nothing of the content. Not thread-safe; the reader must outlive
// it.
class ProvenPaths {
  public:
    explicit ProvenPaths(const LogReader& reader) : reader_(reader) {}

    // Throws what the store does.
    std::vector<PathStep> find(std::vector<LogSliceId> slices, const LogRange& range,
                               const CallOptions& call = {});

  private:
    void prove(const std::vector<std::string>& names, const CallOptions& call);

    const LogReader& reader_;
    std::set<LogSliceId> proven_, refused_;
};

} // namespace holdfast
