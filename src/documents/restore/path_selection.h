// Which paths of a snapshot are wanted.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace holdfast {

// A set of paths, each with all that is below it; an empty set is everything. Thread-safe once made.
class PathSelection {
  public:
    enum class Answer {
        no,
        on_the_way, // a directory above a wanted path
        yes,
    };
    PathSelection() = default;
    // Slashes at both ends are dropped.
    explicit PathSelection(const std::vector<std::string>& paths);
    // `path` without a slash in front.
    Answer judge(std::string_view path) const;
    const std::vector<std::string>& paths() const { return paths_; }

  private:
    std::vector<std::string> paths_;
};

} // namespace holdfast
