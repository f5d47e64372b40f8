// The smallest backup that is one: real packs, frames and nodes, written with the calls that real backups
// use.
//
// A source has directories, a directory has documents, and what is in a document is known by a number.
#pragma once

#include "repository/node/directory_node.h"
#include "repository/node/node_reader.h"
#include "repository/pack/pack_format.h"
#include "repository/protocol/context.h"
#include "repository/run_context.h"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace holdfast::tiny {

using Content = std::uint32_t;
using Directory = std::map<std::string, Content>;
using Dataset = std::map<std::string, Directory>;

// The bytes of a document.
Bytes bytes_of(Content content);

// Collects frames and puts them as one pack.
class TinyPack {
  public:
    TinyPack(const RunContext& run, std::uint32_t seq, std::uint8_t kind);
    // One frame that holds `bytes` alone; where they will be.
    FrameAddress add(ByteView bytes, BlobType type, const BlobId& id);
    const PackId& id() const { return id_; }
    bool empty() const { return frames_.empty(); }
    void put(Store& store) const;

  private:
    const RunContext& run_;
    PackId id_;
    PackTail tail_;
    std::vector<Bytes> frames_;
};

TreeEntry document_entry(const std::string& name, Content content, const FrameAddress& frame);
TreeEntry directory_entry(const std::string& name, const NodeRef& children);

// Reads a whole tree, every document to its last byte. Throws Error(corrupt) when something is missing.
Dataset read_tree(NodeReader& nodes, PackReader& packs, const NodeRef& root);
// The directories that the root names, without reading them.
std::map<std::string, NodeRef> read_root(NodeReader& nodes, const NodeRef& root);

} // namespace holdfast::tiny
