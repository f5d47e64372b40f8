#include "postgres/capture/earlier_tree.h"

namespace holdfast::postgres {

// A checkpoint of an interrupted run comes before the parent, where there is one.
EarlierRoots earlier_roots(const BackupRun& run) {
    const std::vector<NodeRef>& roots = run.previous_roots();
    EarlierRoots found;
    if (run.parent() && !roots.empty() && roots.back() == run.parent()->root) found.parent = roots.back();
    if (roots.size() > (found.parent ? 1U : 0U)) found.checkpoint = roots.front();
    return found;
}

EarlierTree::EarlierTree(BackupRun& run, const std::optional<NodeRef>& root) : run_(run) {
    levels_.emplace_back(run.nodes(), root ? std::vector{*root} : std::vector<NodeRef>(),
                         [](const NodeRef&) {});
}

const TreeEntry* EarlierTree::find(std::string_view name) {
    const std::vector<const TreeEntry*> found = levels_.back().find(name);
    return found.empty() ? nullptr : found.front();
}

const TreeEntry* EarlierTree::enter(std::string_view name) {
    const TreeEntry* entry = find(name);
    std::vector<NodeRef> below;
    if (entry != nullptr && entry->type == EntryType::directory) below.push_back(entry->children);
    levels_.emplace_back(run_.nodes(), below, [this](const NodeRef& node) {
        if (run_.may_refer(node.location.frame)) run_.writer().remember_node(node);
    });
    return entry;
}

} // namespace holdfast::postgres
