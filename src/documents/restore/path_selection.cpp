#include "documents/restore/path_selection.h"

namespace holdfast {

namespace {

bool is_below(std::string_view path, std::string_view directory) {
    return path.size() > directory.size() && path.starts_with(directory) && path[directory.size()] == '/';
}

} // namespace

PathSelection::PathSelection(const std::vector<std::string>& paths) {
    for (std::string_view path : paths) {
        while (path.starts_with('/')) path.remove_prefix(1);
        while (path.ends_with('/')) path.remove_suffix(1);
        if (path.empty()) {
            paths_.clear();
            return;
        }
        paths_.emplace_back(path);
    }
}

PathSelection::Answer PathSelection::judge(std::string_view path) const {
    if (paths_.empty()) return Answer::yes;
    Answer answer = Answer::no;
    for (const std::string& wanted : paths_) {
        if (path == wanted || is_below(path, wanted)) return Answer::yes;
        if (path.empty() || is_below(wanted, path)) answer = Answer::on_the_way;
    }
    return answer;
}

} // namespace holdfast
