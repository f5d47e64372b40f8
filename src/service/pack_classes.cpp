#include "service/pack_classes.h"

#include "policy/retention.h"
#include "service/retention.h"

#include <algorithm>

namespace holdfast {

PackClasses new_pack_classes() {
    return {{std::uint8_t{0}, "default"},
            {std::uint8_t{1}, std::string(class_manual)},
            {std::uint8_t{2}, std::string(class_pre_maintenance)},
            {std::uint8_t{3}, std::string(class_forensic)}};
}

std::uint8_t pack_class_of(const PackClasses& classes, const std::map<std::string, std::string>& tags) {
    const auto tag = tags.find(class_tag);
    if (tag == tags.end()) return 0;
    const auto found =
        std::ranges::find_if(classes, [&](const auto& entry) { return entry.second == tag->second; });
    return found != classes.end() ? found->first : 0;
}

} // namespace holdfast
