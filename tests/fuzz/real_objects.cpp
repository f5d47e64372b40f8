#include "base/random.h"
#include "fuzz/real_inputs.h"
#include "repository/config.h"
#include "repository/index/bloom_filter.h"
#include "repository/index/segment_reader.h"
#include "repository/log/slice_format.h"
#include "repository/pack/pack_format.h"
#include "repository/run_context.h"

#include <algorithm>

namespace holdfast {

namespace {

// A writer whose secrets are everybody's.
struct SeedRun {
    SeededRandom random{2};
    Secret secret = Secret::copy_of(Bytes(32, 2));
    std::shared_ptr<const SigningKey> key = std::make_shared<const SigningKey>(Secret::copy_of(Bytes(32, 1)));
    BoxKey box{Secret::copy_of(Bytes(32, 3))};

    RunSecrets symmetric() { return draw_symmetric_run(1, secret.view(), secret.view(), random); }
    RunContext begin() { return {SlotId{}, key, symmetric()}; }
};

Bytes written(const Envelope& envelope) {
    ByteWriter out;
    write_envelope(out, envelope);
    return std::move(out).take();
}

void add_envelopes(std::vector<RealInput>& inputs, SeedRun& run) {
    inputs.push_back({"envelope", "symmetric", written(run.symmetric().envelope)});
    const PublicKey key = run.box.public_key();
    inputs.push_back({"envelope", "sealed", written(draw_sealed_run(7, key, key, run.random).envelope)});
    inputs.push_back({"envelope", "structure-only",
                      written(draw_structure_only_run(300, run.secret.view(), run.random).envelope)});
}

// The places of the names in object_fuzz.cpp.
void add_run_objects(std::vector<RealInput>& inputs, SeedRun& seed) {
    const auto add = [&](const std::string& name, Byte place, const FixedBytes<16>& owner,
                         const Bytes& object) {
        Bytes bytes = selected({place}, owner.view());
        bytes.insert(bytes.end(), object.begin(), object.end());
        inputs.push_back({"object", name, std::move(bytes)});
    };
    RunContext run = seed.begin();
    const RunId& id = run.id();
    const ByteView body = as_bytes(R"({"time":"2026-11-20T00:00:00Z"})");
    const auto signed_by_run = [&](ObjectKind kind, const std::string& name) {
        return sign_object(kind, name, body, run);
    };
    add("key-slot", 1, SlotId{}, sign_object(ObjectKind::slot, slot_name({}), body, SlotId{}, *seed.key));
    add("grant", 2, SlotId{}, sign_object(ObjectKind::grant, grant_name({}, 1), body, SlotId{}, *seed.key));
    add("revocation", 3, SlotId{},
        sign_object(ObjectKind::revocation, revocation_name({}), body, SlotId{}, *seed.key));
    const std::string segment = index_segment_name({}, id, 0);
    add("index-segment", 4, id, sign_parts(ObjectKind::index_segment, segment, body, run));
    add("intent", 5, id, signed_by_run(ObjectKind::intent, intent_name(id, 0)));
    add("commit", 6, id, seal_object(ObjectKind::commit, commit_name(id), body, run));
    add("fence", 6, SlotId{}, signed_by_run(ObjectKind::fence, commit_name({})));
    add("checkpoint", 7, id, seal_object(ObjectKind::checkpoint, checkpoint_name(id, 0), body, run));
    add("forget", 8, id, signed_by_run(ObjectKind::forget, forget_name(id)));
    add("statement", 9, SlotId{}, seal_object(ObjectKind::statement, statement_name({}, 0), body, run));
    add("condemned-list", 10, id, signed_by_run(ObjectKind::condemned, condemned_name(id)));
    add("verdict", 11, id, signed_by_run(ObjectKind::verdict, verdict_name(id)));
    const std::string slice = LogSliceId{{}, {1, 0, 1}, id, 0}.name();
    add("log-slice", 14, id, sign_parts(ObjectKind::log_slice, slice, body, run));
    add("moved", 12, id, signed_by_run(ObjectKind::moved, moved_name(PackId{id})));
}

void add_configs(std::vector<RealInput>& inputs, SeedRun& seed) {
    RepositoryConfig config;
    config.root = seed.key->public_key();
    config.pack_bytes = default_pack_bytes;
    Bytes object = write_config(config, *seed.key);
    const ByteView body = read_object_form(config_name, object).body;
    inputs.push_back({"config", "body", Bytes(body.begin(), body.end())});
    inputs.push_back({"object", "config", selected({0}, Bytes(16))});
    Bytes& whole = inputs.back().bytes;
    whole.insert(whole.end(), object.begin(), object.end());
    inputs.push_back({"config", "object", std::move(object)});
    config.may_ignore = {"colours"};
    config.capabilities = {.put_if_absent = true, .object_lock = true, .tiers = {"hot", "cold"}};
    config.classes = {{0, "short"}, {7, "long"}};
    object = write_config(config, *seed.key);
    inputs.push_back({"config", "object-with-everything", std::move(object)});
}

FrameRecord frame(SeedRun& seed, std::uint32_t number, std::size_t blobs) {
    FrameRecord made;
    made.number = number;
    made.stored_length = 4000;
    made.raw_length = 9000;
    made.codec = Codec::zstd;
    for (std::size_t i = 0; i < blobs; ++i) {
        made.blobs.push_back({.type = BlobType::data,
                              .id = seed.random.id<24>(),
                              .offset = static_cast<std::uint32_t>(1000 * i),
                              .length = 1000});
    }
    return made;
}

void add_packs(std::vector<RealInput>& inputs, SeedRun& seed) {
    const RunSecrets secrets = seed.symmetric();
    const PackId id{secrets.envelope.run(), 5, metadata_pack, 1};
    inputs.push_back({"pack", "header", selected({0}, encode_pack_header({SlotId{}, id, secrets.envelope}))});
    const PackTail own{{}, {frame(seed, 0, 3), frame(seed, 1, 1), frame(seed, 2, 0)}};
    inputs.push_back({"pack", "tail", selected({1}, encode_pack_tail(own))});
    PackTail moved{.origins = {{id, secrets.envelope}}, .frames = {frame(seed, 4, 2), frame(seed, 9, 1)}};
    inputs.push_back({"pack", "tail-of-moved-frames", selected({1}, encode_pack_tail(moved))});
    inputs.push_back({"pack", "tail-empty", selected({1}, encode_pack_tail({}))});
    inputs.push_back({"pack", "footer", selected({2}, encode_pack_footer({77, {}, {}}))});
}

// The plain parts of a segment behind a header whose numbers are as index_segment_fuzz.cpp takes them.
Bytes plain_segment(const Bytes& body, const Secret& key, const std::string& name) {
    const ByteView head = ByteView(body).first(segment_header_bytes);
    const SegmentHeader header = SegmentHeader::parse(head, body.size(), name);
    SegmentHeader coded = header;
    coded.entries_per_block -= 1;
    coded.filter_bytes = header.filter_bytes / 32 - 1;
    coded.pack_table_bytes = header.pack_table_bytes / 24;
    Bytes plain = coded.encode();
    Aead aead(key.view());
    std::size_t offset = segment_header_bytes;
    const auto add = [&](std::uint32_t part, std::uint64_t size) {
        Bytes opened(static_cast<std::size_t>(size));
        const ByteView sealed = ByteView(body).subspan(offset, opened.size() + aead_tag_bytes);
        if (!aead.open(part, segment_associated_data(name, part, head), sealed, opened))
            corrupt_segment(name, "is not what was just written");
        plain.insert(plain.end(), opened.begin(), opened.end());
        offset += sealed.size();
    };
    add(segment_pack_table_part, header.pack_table_bytes);
    add(segment_first_keys_part, header.first_keys_bytes());
    add(segment_filter_part, header.filter_bytes);
    for (std::uint32_t block = 0; block < header.blocks; ++block) {
        add(segment_first_block_part + block,
            std::uint64_t{header.entries_in_block(block)} * segment_record_bytes);
    }
    return plain;
}

void add_index(std::vector<RealInput>& inputs, SeedRun& seed) {
    const std::string name = "index/fuzz";
    for (const std::size_t count : {1U, 12U, 130U}) {
        std::vector<IndexEntry> entries(count);
        for (IndexEntry& entry : entries) {
            const auto seq = static_cast<std::uint32_t>(seed.random.below(4));
            entry = {seed.random.id<24>(), {PackId{RunId{}, seq}, seq * 3, 0, 4096}};
        }
        const Bytes body = encode_segment({Secret(32), name}, entries).joined();
        inputs.push_back(
            {"index_segment", "plain-" + std::to_string(count), plain_segment(body, Secret(32), name)});
        if (count < 100) inputs.push_back({"index_segment", "sealed-" + std::to_string(count), body});
        BloomFilter filter(count);
        for (const IndexEntry& entry : entries) filter.insert(BloomProbe(entry.id));
        inputs.push_back({"bloom_filter", "ids-" + std::to_string(count), filter.bytes()});
    }
}

void add_frames(std::vector<RealInput>& inputs) {
    std::string text;
    for (int i = 0; i < 40; ++i)
        text += "the " + std::to_string(i * i) + "th line of a text that packs well\n";
    Compressor compressor;
    for (const int level : {1, 9}) {
        const CompressedFrame frame = compressor.compress(as_bytes(text), level);
        inputs.push_back({"decompressor", "zstd-level-" + std::to_string(level),
                          selected({static_cast<Byte>(text.size()), static_cast<Byte>(text.size() >> 8), 0},
                                   frame.bytes)});
    }
    inputs.push_back({"decompressor", "stored", selected({5, 0, 1}, std::string_view("12345"))});
}

// The selectors of slice_fuzz.cpp.
void add_slices(std::vector<RealInput>& inputs) {
    SliceInfo info{
        .written = from_rfc3339("2026-11-20T10:00:00Z"), .digest = {}, .frames = {}, .details = {}};
    inputs.push_back({"slice", "info-of-no-length", selected({0}, encode_slice_info(info))});
    info.frames = {{slice_frame_bytes + aead_tag_bytes, slice_frame_bytes, Codec::stored},
                   {4000, slice_frame_bytes, Codec::zstd},
                   {500, 9000, Codec::zstd}};
    info.details = Bytes(30, 7);
    inputs.push_back({"slice", "info", selected({0}, encode_slice_info(info))});
    for (const std::uint32_t summary_bytes : {0U, 900U}) {
        SliceHeader header;
        header.info_bytes = 80;
        header.summary_bytes = summary_bytes;
        ByteWriter out;
        out.u32(static_cast<std::uint32_t>(header.frames_offset()) + 4516);
        out.raw(header.encode());
        inputs.push_back(
            {"slice", summary_bytes == 0 ? "header-without-summary" : "header", selected({1}, out.bytes())});
    }
}

} // namespace

void add_objects(std::vector<RealInput>& inputs) {
    SeedRun seed;
    add_envelopes(inputs, seed);
    add_run_objects(inputs, seed);
    add_configs(inputs, seed);
    add_packs(inputs, seed);
    add_index(inputs, seed);
    add_frames(inputs);
    add_slices(inputs);
}

} // namespace holdfast
