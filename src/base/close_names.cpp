#include "base/close_names.h"

#include <algorithm>
#include <utility>

namespace holdfast {

namespace {

constexpr std::size_t most_close_names = 3;
constexpr std::size_t longest_word = 64;

// How many letters must be put in, taken out, changed, or swapped with their neighbour (optimal string
// alignment).
std::size_t distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> before_last, last(b.size() + 1), row(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t change = a[i - 1] == b[j - 1] ? 0 : 1;
            row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + change});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                row[j] = std::min(row[j], before_last[j - 2] + 1);
            }
        }
        before_last = std::exchange(last, row);
    }
    return last[b.size()];
}

} // namespace

std::vector<std::string> close_names(std::string_view word, const std::vector<std::string>& names) {
    if (word.empty() || word.size() > longest_word) return {};
    std::vector<std::pair<std::size_t, std::string>> close;
    for (const std::string& name : names) {
        const std::size_t steps = distance(word, name);
        const bool beginning = name.starts_with(word) || (name.size() > 2 && word.starts_with(name));
        // A third of the letters may be wrong.
        if (beginning || 3 * steps <= std::min(word.size(), name.size())) {
            close.emplace_back(beginning ? 0 : steps, name);
        }
    }
    std::ranges::stable_sort(close, {}, &std::pair<std::size_t, std::string>::first);
    std::vector<std::string> result;
    for (auto& [steps, name] : close) {
        if (result.size() < most_close_names) result.push_back(std::move(name));
    }
    return result;
}

} // namespace holdfast
