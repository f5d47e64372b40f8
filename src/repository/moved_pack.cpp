#include "repository/moved_pack.h"

#include "base/error.h"
#include "repository/json_form.h"
#include "repository/object.h"

#include <set>

namespace holdfast {

namespace {

constexpr std::size_t largest_moved_bytes = 16u << 20;
constexpr std::size_t most_targets = 1u << 16;

} // namespace

Bytes encode_moved(const std::vector<PackId>& targets) {
    std::vector<std::string> names;
    for (const PackId& target : targets) names.push_back(target.name());
    JsonWriter out;
    out.texts("to", names);
    return out.finish();
}

std::vector<std::string> decode_moved(ByteView json) {
    const JsonReader in = JsonReader::parse(json, "where a pack was moved", largest_moved_bytes);
    std::vector<std::string> names = in.texts("to", most_targets, 128);
    for (const std::string& name : names) {
        if (!PackId::from_name(name)) in.fail("to", "names something that is no pack");
    }
    return names;
}

std::vector<std::string> read_moved(Store& store, const PackId& pack) {
    const std::string name = moved_name(pack);
    const std::optional<Bytes> bytes = store.get(name, {}, {});
    if (!bytes) return {};
    return in_context(name, [&] {
        const ObjectForm form = read_object_form(name, *bytes);
        if (form.header.kind != ObjectKind::moved)
            throw Error(ErrorCode::corrupt, "it is an object of another kind");
        return decode_moved(form.body);
    });
}

bool moves_lead(Store& store, const PackId& gone, const std::function<bool(const PackId&)>& is_there) {
    std::set<PackId> seen{gone};
    std::vector<PackId> pending{gone};
    while (!pending.empty()) {
        const PackId pack = pending.back();
        pending.pop_back();
        try {
            for (const std::string& name : read_moved(store, pack)) {
                const PackId target = PackId::from_name(name).value();
                if (is_there(target)) return true;
                if (seen.insert(target).second) pending.push_back(target);
            }
        } catch (const Error& error) {
            if (error.code() != ErrorCode::corrupt && error.code() != ErrorCode::incompatible) throw;
        }
    }
    return false;
}

} // namespace holdfast
