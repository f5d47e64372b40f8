// Notes of where a collector has moved frames (moved/…), made anew from the tables of the packs that have
// them. Without its note a pack's frames are found by nobody, though they are there.
#pragma once

#include "repository/pack/pack_reader.h"
#include "repository/repository.h"

#include <map>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

namespace holdfast {

// Not thread-safe.
class LostMoves {
  public:
    // Of all packs that are there.
    explicit LostMoves(const std::vector<PackId>& listed) : listed_(listed.begin(), listed.end()) {}

    void look_at(const LoadedPack& pack);
    // For each pack that is gone, of which others have frames, a note that names them, where the notes that
    // are there do not lead to any of them. Returns their names. A note that nobody needs does no harm:
    // frames prove themselves. Throws Error(access_denied) when this holder may not write one,
    // Error(cancelled), and what the store throws.
    std::vector<std::string> put_notes(Repository& repository, const RunContext& run,
                                       const std::stop_token& stop) const;

  private:
    const std::set<PackId> listed_;
    std::map<PackId, std::set<PackId>> holders_; // by the pack that is gone
};

} // namespace holdfast
