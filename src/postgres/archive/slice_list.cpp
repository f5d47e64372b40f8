#include "postgres/archive/slice_list.h"

#include "base/error.h"

#include <algorithm>

#include <fmt/format.h>

namespace holdfast::postgres {

std::string write_slice_list(std::span<const LogSliceId> slices) {
    std::string text;
    for (const LogSliceId& slice : slices) text += slice.name() + '\n';
    return text;
}

std::vector<LogSliceId> parse_slice_list(std::string_view text, std::string_view what) {
    std::vector<LogSliceId> slices;
    for (std::size_t line = 1; !text.empty(); ++line) {
        const std::size_t end = text.find('\n');
        const auto slice =
            end == std::string_view::npos ? std::nullopt : LogSliceId::from_name(text.substr(0, end));
        if (!slice)
            throw Error(ErrorCode::corrupt, fmt::format("{}, line {}: this is no slice of a log", what, line),
                        "a restore has written the file: restore again");
        slices.push_back(*slice);
        text.remove_prefix(end + 1);
    }
    std::ranges::sort(slices);
    return slices;
}

} // namespace holdfast::postgres
