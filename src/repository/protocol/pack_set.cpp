#include "repository/protocol/pack_set.h"

#include <algorithm>

namespace holdfast {

namespace {

std::uint64_t place_of(const PackId& pack) {
    return std::uint64_t{pack.kind} << 40 | std::uint64_t{pack.cls} << 32 | pack.seq;
}

} // namespace

bool PackSet::insert(const PackId& pack) {
    std::vector<std::uint64_t>& places = runs_[pack.run];
    const std::uint64_t place = place_of(pack);
    const auto at = places.empty() || places.back() < place
                        ? places.end()
                        : std::lower_bound(places.begin(), places.end(), place);
    if (at != places.end() && *at == place) return false;
    places.insert(at, place);
    ++size_;
    return true;
}

bool PackSet::contains(const PackId& pack) const {
    const auto run = runs_.find(pack.run);
    return run != runs_.end() && std::binary_search(run->second.begin(), run->second.end(), place_of(pack));
}

void PackSet::for_each(const std::function<void(const PackId&)>& visit) const {
    for (const auto& [run, places] : runs_) {
        for (const std::uint64_t place : places) {
            visit({run, static_cast<std::uint32_t>(place), static_cast<std::uint8_t>(place >> 40),
                   static_cast<std::uint8_t>(place >> 32)});
        }
    }
}

} // namespace holdfast
