// A repository in memory with tiny backups in it, for tests of collections.
#pragma once

#include "base/error.h"
#include "repository/index/segment_writer.h"
#include "repository/node/node.h"
#include "repository/pack/pack_reader.h"
#include "repository/protocol/collector.h"
#include "repository/protocol/protocol_object.h"
#include "repository/protocol/run_intent.h"
#include "repository/protocol/standing_verdicts.h"
#include "repository/protocol/writer_session.h"
#include "store/memory_store.h"
#include "store/store_decorator.h"
#include "support/repository_fixture.h"
#include "support/tiny_backup.h"

#include <map>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace holdfast {

// A collection is killed by an error that nothing retries.
struct Killed {};

class CollectorTest : public RepositoryTest {
  protected:
    CollectorTest() {
        add(Role::prune, 9, "collector");
        pruner = std::make_unique<Unlocked>(open(9));
        *admin = unlock(store, passphrase());
        settings.beat_interval = Duration::zero();
        settings.tolerated_dead_part = 0.01;
    }
    RepositoryContext writer() { return {store, admin->ring, admin->trust, clock, random, {}}; }
    RepositoryContext collector() { return {store, pruner->ring, pruner->trust, clock, random, {}}; }

    // A snapshot of documents, those in `known` by reference to where they are.
    Snapshot back_up(const std::string& source, const std::vector<tiny::Content>& contents) {
        const RepositoryContext context = writer();
        RunContext run = admin->ring.begin_run(random);
        const auto session = WriterSession::begin(context, run, "test", Duration::zero());
        const Snapshot snapshot = store_tree(run, source, contents);
        session->commit(snapshot);
        return snapshot;
    }
    Snapshot store_tree(RunContext& run, const std::string& source,
                        const std::vector<tiny::Content>& contents) {
        tiny::TinyPack data(run, 0, data_pack);
        tiny::TinyPack metadata(run, 1, metadata_pack);
        DirectoryLeafBuilder directory;
        for (std::size_t i = 0; i < contents.size(); ++i) {
            const tiny::Content content = contents[i];
            if (!known.contains(content)) {
                known[content] = data.add(tiny::bytes_of(content), BlobType::data, BlobId{});
            }
            directory.add(tiny::document_entry(std::to_string(i), content, known[content]));
        }
        const auto store_node = [&](Bytes node) -> NodeRef {
            const NodeId id = node_id(node);
            return {id, {metadata.add(node, BlobType::node, id), 0, static_cast<std::uint32_t>(node.size())}};
        };
        DirectoryLeafBuilder root;
        root.add(tiny::directory_entry("d", store_node(directory.finish())));
        Snapshot snapshot;
        snapshot.id = run.id();
        snapshot.source = source;
        snapshot.kind = "documents";
        snapshot.time = snapshot.end = clock.now();
        snapshot.root = store_node(root.finish());
        if (!data.empty()) data.put(store);
        metadata.put(store);
        return snapshot;
    }
    std::vector<tiny::Content> read(const Snapshot& snapshot) {
        PackReader packs(store, admin->ring);
        NodeReader nodes(packs);
        std::vector<tiny::Content> contents;
        const auto tree = tiny::read_tree(nodes, packs, snapshot.root);
        for (const auto& [_, content] : tree.at("d")) contents.push_back(content);
        return contents;
    }
    CollectorReport collect() {
        Progress progress;
        return collect_garbage(collector(), settings, progress);
    }
    std::vector<std::string> names(std::string_view prefix) { return list_names(store, prefix); }
    std::uint64_t stored_bytes(const FrameAddress& frame) {
        PackReader packs(store, admin->ring);
        const auto pack = packs.holder_of(frame);
        return pack->tail.frames[*pack->find(frame)].stored_length;
    }
    // Killed before the first write behind its verdict.
    void collect_and_die_behind_the_verdict() {
        bool decided = false;
        store.before_write = [&](std::string_view, const std::string& name) {
            if (decided) throw Killed{};
            decided = name.starts_with(verdicts_prefix);
        };
        EXPECT_THROW(collect(), Killed);
        store.before_write = {};
        EXPECT_TRUE(decided);
    }

    std::unique_ptr<Unlocked> pruner;
    CollectorSettings settings;
    std::map<tiny::Content, FrameAddress> known;
};

} // namespace holdfast
