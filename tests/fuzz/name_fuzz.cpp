// Names of objects: what is accepted is written back the same.
#include "base/error.h"
#include "repository/ids.h"
#include "store/object_name.h"

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text = holdfast::as_text({data, size});
    const auto name = holdfast::parse_name(text);
    if (name && name->kind != holdfast::NameKind::probe && holdfast::object_name(*name) != text) std::abort();
    if (const auto pack = holdfast::PackId::from_name(text); pack && pack->name() != text) std::abort();
    // A name of ours can stand in every store, and beginnings of names can be listed.
    const bool storable = holdfast::is_object_name(text);
    if (name && !storable) std::abort();
    try {
        holdfast::check_object_prefix(text);
    } catch (const holdfast::Error& error) {
        if (storable || error.code() != holdfast::ErrorCode::usage) std::abort();
    }
    return 0;
}
