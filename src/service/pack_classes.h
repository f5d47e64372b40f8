// Which packs hold what snapshots of a class store anew. What is stored already they refer to, in packs of
// whichever class.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace holdfast {

// By the byte in the names of packs (docs/format.md, section 5).
using PackClasses = std::map<std::uint8_t, std::string>;

// Those of a new repository: the classes of snapshots that go only by rules of their own, and all the rest.
PackClasses new_pack_classes();

// That of a snapshot with these tags: where the repository has none for its class, that of all the rest.
std::uint8_t pack_class_of(const PackClasses& classes, const std::map<std::string, std::string>& tags);

} // namespace holdfast
