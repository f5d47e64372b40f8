// The outer form of objects, under the name of each kind.
#include "base/error.h"
#include "repository/object.h"

#include <array>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace holdfast;
    if (size < 1 + 16) return 0;
    // The first bytes choose the name, so that the checks of name against content are reached.
    FixedBytes<16> id;
    std::memcpy(id.bytes.data(), data + 1, id.size());
    const std::array names{std::string(config_name),
                           slot_name(id),
                           grant_name(id, 1),
                           revocation_name(id),
                           index_segment_name({}, id, 0),
                           intent_name(id, 0),
                           commit_name(id),
                           checkpoint_name(id, 0),
                           forget_name(id),
                           statement_name(id, 0),
                           condemned_name(id),
                           verdict_name(id),
                           moved_name(PackId{id}),
                           PackId{id}.name(),
                           LogSliceId{{}, {1, 0, 1}, id, 0}.name()};
    const std::string& name = names[data[0] % names.size()];
    const ByteView object(data + 17, size - 17);
    try {
        const ObjectForm form = read_object_form(name, object);
        if (form.before_body.size() + form.body.size() + Signature::size() != object.size()) std::abort();
        if (form.header.envelope.has_value() != is_encrypted(form.header.kind)) std::abort();
    } catch (const Error&) {
    }
    try {
        read_object_header(name, object.first(std::min(object.size(), object_header_limit_bytes)));
    } catch (const Error&) {
    }
    return 0;
}
