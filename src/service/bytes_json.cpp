#include "service/bytes_json.h"

#include "base/bytes.h"
#include "documents/entry_name.h"
#include "repository/protocol/text_form.h"

#include <nlohmann/json.hpp>

namespace holdfast {

void set_bytes(nlohmann::json& value, const std::string& member, std::string_view bytes) {
    const bool text = is_utf8(bytes);
    value[member] = text ? std::string(bytes) : printable(bytes);
    if (!text) value[member + "_hex"] = to_hex(as_bytes(bytes));
}

} // namespace holdfast
