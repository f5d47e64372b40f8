#include "documents/source_roots.h"

#include "base/error.h"
#include "documents/entry_name.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <string_view>

#include <fmt/format.h>

namespace holdfast {

namespace {

std::string real_path(const std::string& path) {
    const std::unique_ptr<char, decltype(&std::free)> resolved(::realpath(path.c_str(), nullptr), &std::free);
    if (!resolved) throw system_error(errno, fmt::format("resolving {}", printable(path)));
    return resolved.get();
}

// `path` absolute and without "..".
std::string absolute(const std::string& path) {
    const std::string full = path.starts_with('/') ? path : real_path(".") + "/" + path;
    // Up to the last component "..", the file system knows where it leads.
    std::size_t resolve_to = 0;
    for (std::size_t at = full.find("/.."); at != std::string::npos; at = full.find("/..", at + 1)) {
        if (at + 3 == full.size() || full[at + 3] == '/') resolve_to = at + 3;
    }
    if (resolve_to == 0) return full;
    return real_path(full.substr(0, resolve_to)) + full.substr(resolve_to);
}

} // namespace

const RootNode* RootNode::find(std::string_view name) const {
    const auto child = children.find(name);
    return child == children.end() ? nullptr : &child->second;
}

RootNode merge_roots(const std::vector<std::string>& paths) {
    if (paths.empty()) throw Error(ErrorCode::usage, "there is no path to back up", "name at least one");
    RootNode tree;
    for (const std::string& path : paths) {
        if (path.empty() || path.find('\0') != std::string::npos) {
            throw Error(ErrorCode::usage, fmt::format("\"{}\" is no path", printable(path)),
                        "name a file or a directory");
        }
        const std::string full = absolute(path);
        RootNode* node = &tree;
        std::string_view rest = full;
        std::string_view component;
        while (!rest.empty()) {
            const std::size_t length = std::min(rest.find('/'), rest.size());
            component = rest.substr(0, length);
            rest.remove_prefix(std::min(length + 1, rest.size()));
            if (!component.empty() && component != ".") node = &node->children[std::string(component)];
        }
        node->is_root = true;
        node->follow_link |= full.ends_with('/') || full.ends_with("/.");
    }
    return tree;
}

namespace {

void collect_root_paths(const RootNode& node, const std::string& path, std::vector<std::string>& paths) {
    if (node.is_root) {
        paths.push_back(path.empty() ? "/" : path);
        return;
    }
    for (const auto& [name, child] : node.children) collect_root_paths(child, path + "/" + name, paths);
}

} // namespace

std::vector<std::string> root_paths(const RootNode& roots) {
    std::vector<std::string> paths;
    collect_root_paths(roots, "", paths);
    return paths;
}

} // namespace holdfast
