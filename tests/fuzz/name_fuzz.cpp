// Names of objects: what is accepted is written back the same.
#include "repository/ids.h"

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text = holdfast::as_text({data, size});
    const auto name = holdfast::parse_name(text);
    if (name && name->kind != holdfast::NameKind::probe && holdfast::object_name(*name) != text) std::abort();
    if (const auto pack = holdfast::PackId::from_name(text); pack && pack->name() != text) std::abort();
    return 0;
}
