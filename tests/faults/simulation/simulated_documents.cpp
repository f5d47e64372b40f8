#include "faults/simulation/simulated_documents.h"

#include "base/error.h"
#include "crypto/page_hash.h"
#include "repository/content/content_source.h"
#include "repository/content/stored_content.h"
#include "repository/node/directory_cursor.h"
#include "repository/node/file_map_node.h"

#include <algorithm>

#include <fmt/format.h>

namespace holdfast::simulation {

namespace {

// As small as a large file may be: it has a map, which a group leads to, and is compared page by page.
constexpr std::uint64_t large_bytes = segmented_file_bytes;
constexpr std::uint64_t pages_apart = 500;

Bytes bytes_of(Content content, std::size_t length) {
    const std::string text = fmt::format("document {}", content);
    Bytes bytes(length, 0);
    std::ranges::copy(as_bytes(text), bytes.begin());
    return bytes;
}
std::size_t length_of(Content content) { return fmt::format("document {}", content).size(); }

std::uint64_t place_of(const std::string& page) { return std::stoull(page) * pages_apart * page_bytes; }

// A document with holes between its pages.
class PagedSource final : public ContentSource {
  public:
    PagedSource(const Members& pages, std::uint64_t size_bytes) : size_(size_bytes) {
        for (const auto& [name, content] : pages) {
            const bool small = size_bytes < page_bytes;
            extents_.emplace(small ? 0 : place_of(name), bytes_of(content, small ? size_bytes : page_bytes));
        }
    }
    std::uint64_t size_bytes() const override { return size_; }
    std::optional<SourceExtent> next_extent() override {
        if (position_ == size_) return std::nullopt;
        const auto next = extents_.lower_bound(position_);
        SourceExtent extent{position_, size_ - position_, true};
        if (next != extents_.end()) {
            const bool here = next->first == position_;
            extent.hole = !here;
            extent.length = here ? next->second.size() : next->first - position_;
        }
        position_ += extent.length;
        return extent;
    }
    std::size_t read(std::uint64_t offset, MutableByteView out) override {
        const std::size_t length = std::min<std::uint64_t>(out.size(), size_ - offset);
        std::ranges::fill(out, Byte{0});
        for (const auto& [begin, bytes] : extents_) {
            const std::uint64_t from = std::max(begin, offset);
            const std::uint64_t to = std::min(begin + bytes.size(), offset + length);
            if (from < to)
                std::ranges::copy(ByteView(bytes).subspan(from - begin, to - from),
                                  out.begin() + static_cast<std::ptrdiff_t>(from - offset));
        }
        return length;
    }

  private:
    const std::uint64_t size_;
    std::map<std::uint64_t, Bytes> extents_;
    std::uint64_t position_ = 0;
};

TreeEntry file_entry(const std::string& name, const Members& pages, std::uint64_t size) {
    TreeEntry entry;
    entry.name = name;
    entry.type = EntryType::file;
    entry.size = size;
    // Another time for each content.
    for (const auto& [page, content] : pages)
        entry.mtime.seconds = entry.mtime.seconds * 1000 + std::stoll(page) * 100 + content + 1;
    return entry;
}

TreeEntry directory_entry(const std::string& name) {
    TreeEntry entry;
    entry.name = name;
    entry.type = EntryType::directory;
    return entry;
}

Content content_at(StoredContent& stored, std::uint64_t offset, std::size_t length, const std::string& what) {
    Bytes bytes(length);
    const std::size_t got = stored.read(offset, bytes);
    const std::string text(as_text(bytes).substr(0, as_text(bytes).find('\0')));
    if (got != length || !text.starts_with("document "))
        throw Error(ErrorCode::corrupt, what + ": not what was written");
    const auto content = static_cast<Content>(std::stoul(text.substr(9)));
    if (bytes != bytes_of(content, length)) throw Error(ErrorCode::corrupt, what + ": not what was written");
    return content;
}

Members read_pages(NodeReader& nodes, PackReader& packs, const TreeEntry& file) {
    Members pages;
    StoredContent stored(nodes, packs, file);
    for (std::uint64_t page = 1; place_of(fmt::to_string(page)) < file.size; ++page) {
        const std::string name = fmt::to_string(page);
        Bytes beginning(1);
        stored.read(place_of(name), beginning);
        if (beginning.front() != 0) pages[name] = content_at(stored, place_of(name), page_bytes, file.name);
    }
    return pages;
}

Members read_documents(NodeReader& nodes, PackReader& packs, const NodeRef& directory) {
    Members documents;
    DirectoryCursor cursor(nodes, directory);
    while (const TreeEntry* entry = cursor.next()) {
        StoredContent stored(nodes, packs, *entry);
        documents[entry->name] = content_at(stored, 0, entry->size, entry->name);
    }
    return documents;
}

} // namespace

bool is_large(const std::string& name) { return name == "Large"; }

DocumentCapture::DocumentCapture(BackupRun& run, Between between)
    : run_(run), between_(std::move(between)), tree_(run.writer()) {}

PreviousDirectory DocumentCapture::previous(const std::vector<NodeRef>& directories) {
    return {run_.nodes(), directories, [this](const NodeRef& node) {
                if (run_.may_refer(node.location.frame)) run_.writer().remember_node(node);
            }};
}

NodeRef DocumentCapture::capture(const Dataset& dataset) {
    tree_.enter(directory_entry(""));
    PreviousDirectory top = previous(run_.previous_roots());
    for (const auto& [name, members] : dataset) {
        const std::vector<const TreeEntry*> before = top.find(name);
        if (is_large(name)) {
            capture_document(file_entry(name, members, large_bytes), members, before);
        } else {
            capture_directory(name, members, before);
        }
    }
    return tree_.leave()->children;
}

void DocumentCapture::capture_directory(const std::string& name, const Members& documents,
                                        const std::vector<const TreeEntry*>& before) {
    std::vector<NodeRef> directories;
    for (const TreeEntry* entry : before) directories.push_back(entry->children);
    PreviousDirectory directory = previous(directories);
    tree_.enter(directory_entry(name));
    for (const auto& [document, content] : documents) {
        const Members pages{{"0", content}};
        capture_document(file_entry(document, pages, length_of(content)), pages, directory.find(document));
    }
    tree_.leave();
}

void DocumentCapture::capture_document(TreeEntry entry, const Members& pages,
                                       const std::vector<const TreeEntry*>& before) {
    const auto same = std::ranges::find_if(before, [&](const TreeEntry* earlier) {
        return earlier->mtime == entry.mtime && earlier->size == entry.size &&
               run_.may_take_over(earlier->content);
    });
    if (same != before.end()) {
        entry = **same;
        ++taken_over_;
    } else {
        PagedSource source(pages, entry.size);
        FileContentResult stored = run_.files().write(source, before.empty() ? nullptr : before.front(), {});
        entry.content = std::move(stored.content);
        entry.digest = stored.digest;
    }
    tree_.add(entry);
    between_();
}

NodeRef DocumentCapture::root_so_far() const { return tree_.so_far()->children; }

Dataset read_dataset(NodeReader& nodes, PackReader& packs, const NodeRef& root) {
    Dataset dataset;
    DirectoryCursor cursor(nodes, root);
    while (const TreeEntry* entry = cursor.next()) {
        dataset[entry->name] = entry->type == EntryType::file ? read_pages(nodes, packs, *entry)
                                                              : read_documents(nodes, packs, entry->children);
    }
    return dataset;
}

} // namespace holdfast::simulation
