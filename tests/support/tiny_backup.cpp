#include "support/tiny_backup.h"

#include "base/error.h"
#include "repository/node/node.h"
#include "repository/pack/pack_seal.h"

#include <fmt/format.h>

namespace holdfast::tiny {

Bytes bytes_of(Content content) {
    const std::string text = fmt::format("document {}", content);
    const ByteView bytes = as_bytes(text);
    return {bytes.begin(), bytes.end()};
}

TinyPack::TinyPack(const RunContext& run, std::uint32_t seq, std::uint8_t kind)
    : run_(run), id_{run.id(), seq, kind, 0} {}

FrameAddress TinyPack::add(ByteView bytes, BlobType type, const BlobId& id) {
    FrameRecord record;
    record.number = static_cast<std::uint32_t>(frames_.size());
    record.raw_length = static_cast<std::uint32_t>(bytes.size());
    record.codec = Codec::stored;
    record.blobs.push_back({type, id, 0, record.raw_length});
    const Secret& secret = id_.kind == metadata_pack ? run_.structure_secret() : run_.content_secret();
    Bytes frame =
        frame_key(secret.view(), id_)
            .seal(record.number, frame_associated_data(id_, record.number, record.raw_length, record.codec),
                  bytes);
    record.stored_length = static_cast<std::uint32_t>(frame.size());
    tail_.frames.push_back(std::move(record));
    frames_.push_back(std::move(frame));
    return {id_, tail_.frames.back().number};
}

void TinyPack::put(Store& store) const {
    const Bytes header = encode_pack_header({run_.writer(), id_, run_.envelope()});
    std::vector<ByteView> parts{header};
    for (const Bytes& frame : frames_) parts.emplace_back(frame);
    const Bytes tail = seal_pack_tail(tail_, run_.structure_secret().view(), id_);
    parts.emplace_back(tail);
    const Bytes footer = make_pack_footer(parts, tail.size(), id_.name(), run_);
    parts.emplace_back(footer);
    store.put(id_.name(), parts, {}, {});
}

TreeEntry document_entry(const std::string& name, Content content, const FrameAddress& frame) {
    TreeEntry entry;
    entry.name = name;
    entry.type = EntryType::file;
    entry.size = bytes_of(content).size();
    entry.content = Extents{{0, entry.size, frame, 0}};
    return entry;
}

TreeEntry directory_entry(const std::string& name, const NodeRef& children) {
    TreeEntry entry;
    entry.name = name;
    entry.type = EntryType::directory;
    entry.children = children;
    return entry;
}

std::map<std::string, NodeRef> read_root(NodeReader& nodes, const NodeRef& root) {
    const Bytes node = nodes.read(root);
    DirectoryLeafReader leaf(node);
    std::map<std::string, NodeRef> directories;
    TreeEntry entry;
    while (leaf.next(entry)) directories[entry.name] = entry.children;
    return directories;
}

Dataset read_tree(NodeReader& nodes, PackReader& packs, const NodeRef& root) {
    Dataset dataset;
    for (const auto& [name, reference] : read_root(nodes, root)) {
        Directory& directory = dataset[name];
        const Bytes node = nodes.read(reference);
        DirectoryLeafReader leaf(node);
        TreeEntry entry;
        while (leaf.next(entry)) {
            const Bytes bytes = packs.read_frame(std::get<Extents>(entry.content).at(0).frame);
            const std::string text(as_text(bytes));
            if (!text.starts_with("document "))
                throw Error(ErrorCode::corrupt, entry.name + ": not what was written");
            directory[entry.name] = static_cast<Content>(std::stoul(text.substr(9)));
        }
    }
    return dataset;
}

} // namespace holdfast::tiny
