#include "repository/protocol/snapshot.h"

#include "base/error.h"
#include "repository/json_form.h"
#include "repository/protocol/text_form.h"

#include <tuple>

namespace holdfast {

namespace {

constexpr std::size_t largest_description_bytes = 64u << 20;
// Long paths in hexadecimal, and some room.
constexpr std::size_t longest_text_bytes = 1u << 20;
constexpr std::size_t most_paths = 1u << 20;
constexpr std::size_t most_tags = 10'000;

JsonWriter root_to_json(const NodeRef& root) {
    JsonWriter out;
    out.text("id", root.id.hex());
    out.text("pack", root.location.frame.pack.name());
    out.number("frame", root.location.frame.frame);
    out.number("offset", root.location.offset);
    out.number("length", root.location.length);
    return out;
}

NodeRef root_from_json(const JsonReader& in) {
    NodeRef root;
    root.id = in.id<24>("id");
    const auto pack = PackId::from_name(in.text("pack", 128));
    if (!pack || pack->kind != metadata_pack) in.fail("pack", "is no metadata pack");
    root.location.frame = {*pack, static_cast<std::uint32_t>(in.number("frame", Extent::hole_frame - 1))};
    root.location.offset = static_cast<std::uint32_t>(in.number("offset", max_frame_bytes));
    root.location.length =
        static_cast<std::uint32_t>(in.number("length", max_frame_bytes - root.location.offset));
    if (root.location.length == 0) in.fail("length", "is zero");
    return root;
}

JsonWriter log_to_json(const SnapshotLog& log) {
    JsonWriter out;
    out.text("archive", log.archive.hex());
    out.number("branch", log.range.branch);
    out.number("begin", log.range.begin);
    out.number("end", log.range.end);
    return out;
}

SnapshotLog log_from_json(const JsonReader& in) {
    SnapshotLog log;
    log.archive = in.id<16>("archive");
    log.range.branch = static_cast<std::uint32_t>(in.number("branch", UINT32_MAX));
    log.range.begin = in.number("begin", UINT64_MAX);
    log.range.end = in.number("end", UINT64_MAX);
    if (log.range.end < log.range.begin) in.fail("end", "lies before the beginning");
    return log;
}

SnapshotState state_from(const JsonReader& in) {
    const std::string name = in.text("state", 32);
    for (const auto state : {SnapshotState::complete, SnapshotState::partial, SnapshotState::unfinished}) {
        if (to_string(state) == name) return state;
    }
    in.fail("state", "is not known");
}

// The counters, by where and under which name they stand.
struct Counter {
    const char* name;
    std::uint64_t SnapshotTotals::* value;
};
constexpr Counter total_counters[] = {{"files", &SnapshotTotals::files},
                                      {"directories", &SnapshotTotals::directories},
                                      {"others", &SnapshotTotals::others},
                                      {"bytes", &SnapshotTotals::bytes},
                                      {"failed", &SnapshotTotals::failed}};
constexpr Counter added_counters[] = {
    {"read_bytes", &SnapshotTotals::read_bytes},       {"new_bytes", &SnapshotTotals::new_bytes},
    {"stored_bytes", &SnapshotTotals::stored_bytes},   {"unchanged_files", &SnapshotTotals::unchanged_files},
    {"changed_files", &SnapshotTotals::changed_files}, {"new_files", &SnapshotTotals::new_files}};

JsonWriter counters_to_json(std::span<const Counter> counters, const SnapshotTotals& totals) {
    JsonWriter out;
    for (const Counter& counter : counters) out.number(counter.name, totals.*counter.value);
    return out;
}

void counters_from_json(std::span<const Counter> counters, const JsonReader& in, SnapshotTotals& totals) {
    for (const Counter& counter : counters) totals.*counter.value = in.number(counter.name, UINT64_MAX);
}

std::string text_from(const JsonReader& in, std::string_view name) {
    return from_text_form(in.text(name, longest_text_bytes));
}

std::vector<JsonWriter> tags_to_json(const std::map<std::string, std::string>& tags) {
    std::vector<JsonWriter> out;
    for (const auto& [name, value] : tags) {
        out.emplace_back();
        out.back().text("name", to_text_form(name)).text("value", to_text_form(value));
    }
    return out;
}

std::map<std::string, std::string> tags_from_json(const JsonReader& in) {
    std::map<std::string, std::string> tags;
    for (const JsonReader& tag : in.objects("tags", most_tags)) {
        if (!tags.emplace(text_from(tag, "name"), text_from(tag, "value")).second)
            in.fail("tags", "names one twice");
    }
    return tags;
}

} // namespace

std::string_view to_string(SnapshotState state) {
    switch (state) {
    case SnapshotState::complete:
        return "complete";
    case SnapshotState::partial:
        return "partial";
    case SnapshotState::unfinished:
        return "unfinished";
    }
    return "";
}

Bytes encode_snapshot(const Snapshot& snapshot) {
    std::vector<std::string> paths;
    for (const std::string& path : snapshot.paths) paths.push_back(to_text_form(path));
    JsonWriter out;
    out.text("source", to_text_form(snapshot.source));
    out.text("kind", to_text_form(snapshot.kind));
    out.number("sequence", snapshot.sequence);
    if (snapshot.parent) out.text("parent", snapshot.parent->hex());
    out.text("host", to_text_form(snapshot.host));
    out.text("domain", to_text_form(snapshot.domain));
    out.texts("paths", paths);
    out.time("time", snapshot.time);
    out.time("end", snapshot.end);
    out.object("root", root_to_json(snapshot.root));
    out.objects("tags", tags_to_json(snapshot.tags));
    out.text("state", to_string(snapshot.state));
    out.object("totals", counters_to_json(total_counters, snapshot.totals));
    out.object("added", counters_to_json(added_counters, snapshot.totals));
    if (snapshot.log) out.object("log", log_to_json(*snapshot.log));
    out.text("compression", to_text_form(snapshot.compression));
    out.text("program", to_text_form(snapshot.program));
    return out.finish();
}

Snapshot decode_snapshot(ByteView json, const RunId& id) {
    const JsonReader in = JsonReader::parse(json, "the description of a snapshot", largest_description_bytes);
    Snapshot snapshot;
    snapshot.id = id;
    snapshot.source = text_from(in, "source");
    if (snapshot.source.empty()) in.fail("source", "is empty");
    snapshot.kind = text_from(in, "kind");
    snapshot.sequence = in.number("sequence", UINT64_MAX);
    if (snapshot.sequence == 0) in.fail("sequence", "is zero");
    if (in.has("parent")) snapshot.parent = in.id<16>("parent");
    snapshot.host = text_from(in, "host");
    snapshot.domain = text_from(in, "domain");
    for (const std::string& path : in.texts("paths", most_paths, longest_text_bytes)) {
        snapshot.paths.push_back(from_text_form(path));
    }
    snapshot.time = in.time("time");
    snapshot.end = in.time("end");
    snapshot.root = root_from_json(in.object("root"));
    snapshot.tags = tags_from_json(in);
    snapshot.state = state_from(in);
    counters_from_json(total_counters, in.object("totals"), snapshot.totals);
    counters_from_json(added_counters, in.object("added"), snapshot.totals);
    if (in.has("log")) snapshot.log = log_from_json(in.object("log"));
    snapshot.compression = text_from(in, "compression");
    snapshot.program = text_from(in, "program");
    return snapshot;
}

bool newer(const Snapshot& a, const Snapshot& b) {
    return std::tie(a.sequence, a.time, a.id) > std::tie(b.sequence, b.time, b.id);
}

} // namespace holdfast
