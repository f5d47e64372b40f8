#include "repository/protocol/text_form.h"

#include "base/bytes.h"
#include "base/error.h"

#include <optional>

namespace holdfast {

namespace {

constexpr std::string_view hex_prefix = "hex:";

// How many bytes behind a lead byte belong to it, and the bounds of the first of them.
struct Sequence {
    std::size_t more;
    unsigned char least, most;
};

// Nothing for a byte that cannot lead.
std::optional<Sequence> sequence_of(unsigned char lead) {
    if (lead < 0x80) return Sequence{0, 0, 0};
    if (lead >= 0xc2 && lead <= 0xdf) return Sequence{1, 0x80, 0xbf};
    if (lead == 0xe0) return Sequence{2, 0xa0, 0xbf};
    if (lead == 0xed) return Sequence{2, 0x80, 0x9f};
    if (lead >= 0xe1 && lead <= 0xef) return Sequence{2, 0x80, 0xbf};
    if (lead == 0xf0) return Sequence{3, 0x90, 0xbf};
    if (lead >= 0xf1 && lead <= 0xf3) return Sequence{3, 0x80, 0xbf};
    if (lead == 0xf4) return Sequence{3, 0x80, 0x8f};
    return std::nullopt;
}

} // namespace

bool is_utf8(std::string_view text) {
    for (std::size_t i = 0; i < text.size();) {
        const auto sequence = sequence_of(static_cast<unsigned char>(text[i++]));
        if (!sequence || sequence->more > text.size() - i) return false;
        for (std::size_t k = 0; k < sequence->more; ++k) {
            const auto byte = static_cast<unsigned char>(text[i++]);
            if (byte < (k == 0 ? sequence->least : 0x80) || byte > (k == 0 ? sequence->most : 0xbf))
                return false;
        }
    }
    return true;
}

std::string to_text_form(std::string_view text) {
    if (is_utf8(text) && !text.starts_with(hex_prefix)) return std::string(text);
    return std::string(hex_prefix) + to_hex(as_bytes(text));
}

std::string from_text_form(std::string_view form) {
    const Error wrong(ErrorCode::corrupt, "a text is in hexadecimal that should not be, or is malformed");
    if (!form.starts_with(hex_prefix)) {
        if (!is_utf8(form)) throw wrong;
        return std::string(form);
    }
    Bytes bytes;
    try {
        bytes = from_hex(form.substr(hex_prefix.size()));
    } catch (const Error&) {
        throw wrong;
    }
    if (to_text_form(as_text(bytes)) != form) throw wrong;
    return std::string(as_text(bytes));
}

} // namespace holdfast
