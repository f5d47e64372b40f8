// Where frames are at one time, as the verdicts and the listings of that time say.
#pragma once

#include "repository/pack/pack_reader.h"
#include "repository/protocol/context.h"
#include "repository/protocol/doomed_packs.h"
#include "repository/protocol/reachability.h"
#include "repository/protocol/verdict.h"

#include <optional>
#include <set>
#include <string>
#include <vector>

namespace holdfast {

// Not thread-safe. The store and the keys of the context must outlive it.
class FramePlaces {
  public:
    // Looks, once. What a holder who reads only his own packs cannot look into counts as complete. Throws
    // what the store throws, and Error(corrupt) for a table that cannot be read.
    FramePlaces(const RepositoryContext& context, const FrameSet& frames);

    // The packs, and the notes that lead to them.
    const std::set<std::string>& names() const { return names_; }
    // A pack of which frames are nowhere.
    const std::optional<PackId>& missing() const { return missing_; }

  private:
    void find(const PackId& pack, const std::vector<bool>& wanted);
    bool stays(const PackId& pack) const;
    void follow(const PackId& gone, const PackId& origin, const std::vector<bool>& wanted,
                std::vector<bool>& found, unsigned moves_left);
    void look_into(const PackId& pack, const PackId& origin, const std::vector<bool>& wanted,
                   std::vector<bool>& found);

    PackReader tables_; // its own: what others have read may have moved since
    DoomedPacks decided_;
    Moves moves_;
    std::set<std::string> listed_;
    std::set<std::string> names_;
    std::optional<PackId> missing_;
};

} // namespace holdfast
