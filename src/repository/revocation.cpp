#include "repository/revocation.h"

#include "base/error.h"
#include "repository/json_form.h"

namespace holdfast {

namespace {

constexpr std::size_t revocation_limit_bytes = 256 * 1024 * 1024;
constexpr std::size_t items_limit = 1'000'000;
constexpr std::size_t name_limit_bytes = 512;

} // namespace

bool counts_by_run(ObjectKind kind) {
    using enum ObjectKind;
    return kind == pack || kind == index_segment || kind == intent || kind == checkpoint ||
           kind == condemned || kind == log_slice;
}

bool Revocation::counts(ObjectKind kind, std::string_view name, const RunId& run,
                        const ObjectDigest& digest) const {
    if (counts_by_run(kind)) return runs.contains(run);
    const auto found = objects.find(name);
    return found != objects.end() && found->second == digest;
}

Bytes write_revocation(const Revocation& revocation) {
    std::vector<std::string> runs;
    for (const RunId& run : revocation.runs) runs.push_back(run.hex());
    std::vector<JsonWriter> objects;
    for (const auto& [name, digest] : revocation.objects) {
        objects.emplace_back().text("name", name).hex("digest", digest.view());
    }
    JsonWriter json;
    json.hex("slot", revocation.slot.view())
        .text("label", revocation.label)
        .text("role", to_string(revocation.role))
        .text("domain", revocation.domain)
        .hex("signing_public", revocation.signing_public.view())
        .time("time", revocation.time)
        .texts("runs", runs)
        .objects("objects", objects);
    return json.finish();
}

Revocation read_revocation(std::string_view name, ByteView body) {
    const JsonReader json = JsonReader::parse(body, std::string(name), revocation_limit_bytes);
    Revocation revocation;
    revocation.slot = json.id<16>("slot");
    if (revocation_name(revocation.slot) != name) json.fail("slot", "is not the one that the name says");
    revocation.label = json.text("label", 128);
    const auto role = role_from(json.text("role", 16));
    if (!role) json.fail("role", "is none that this version knows");
    revocation.role = *role;
    revocation.domain = json.text("domain", 64);
    revocation.signing_public = json.id<32>("signing_public");
    revocation.time = json.time("time");
    for (const std::string& text : json.texts("runs", items_limit, 32)) {
        const auto run = id_from_hex<16>(text);
        if (!run) json.fail("runs", "has an item that is no run");
        revocation.runs.insert(*run);
    }
    for (const JsonReader& object : json.objects("objects", items_limit)) {
        const std::string object_name_text = object.text("name", name_limit_bytes);
        if (!parse_name(object_name_text)) object.fail("name", "is no name of an object");
        revocation.objects.emplace(object_name_text, object.id<32>("digest"));
    }
    return revocation;
}

} // namespace holdfast
