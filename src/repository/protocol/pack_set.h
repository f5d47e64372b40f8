// A set of packs that stays small when there are very many: eight bytes a pack, grouped by run.
#pragma once

#include "repository/ids.h"

#include <cstdint>
#include <functional>
#include <unordered_map>
#include <vector>

namespace holdfast {

// Reading is thread-safe while nobody inserts.
class PackSet {
  public:
    // True when it was not in the set before. Cheap when the packs of a run come in ascending order.
    bool insert(const PackId& pack);
    bool contains(const PackId& pack) const;
    std::size_t size() const { return size_; }
    // In no order.
    void for_each(const std::function<void(const PackId&)>& visit) const;

  private:
    // Kind, class and sequence of the packs of each run, ascending.
    std::unordered_map<RunId, std::vector<std::uint64_t>, FixedBytesHash> runs_;
    std::size_t size_ = 0;
};

} // namespace holdfast
