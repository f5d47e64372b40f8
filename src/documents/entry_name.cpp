#include "documents/entry_name.h"

#include "base/error.h"
#include "base/terminal_text.h"

#include <fmt/format.h>

namespace holdfast {

namespace {

constexpr std::size_t largest_name_bytes = 4095;

} // namespace

void check_entry_name(std::string_view name) {
    const char* why = nullptr;
    if (name.empty())
        why = "it is empty";
    else if (name == "." || name == "..")
        why = "it points out of its directory";
    else if (name.find('/') != std::string_view::npos)
        why = "it has a slash in it";
    else if (name.find('\0') != std::string_view::npos)
        why = "it has a zero byte in it";
    else if (name.size() > largest_name_bytes)
        why = "it is too long";
    if (why == nullptr) return;
    throw Error(ErrorCode::corrupt,
                fmt::format("refusing the entry name \"{}\": {}", printable(name.substr(0, 256)), why),
                "nothing was written for it; verify the snapshot, and ask who wrote it");
}

std::string printable(std::string_view bytes) {
    std::string out;
    for (;;) {
        const std::size_t backslash = bytes.find('\\');
        out += harmless(bytes.substr(0, backslash));
        if (backslash == std::string_view::npos) return out;
        out += "\\x5c";
        bytes.remove_prefix(backslash + 1);
    }
}

} // namespace holdfast
