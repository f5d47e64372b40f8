#include "cli/source_section.h"

#include "base/error.h"
#include "base/file_descriptor.h"
#include "base/owned_file.h"

#include <filesystem>

#include <fmt/format.h>
#include <sys/stat.h>

namespace holdfast {

namespace {

constexpr std::size_t most_bytes = 1u << 20;

// A basic string of TOML.
std::string quoted(const std::string& text) {
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
            out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
        } else {
            out += c;
        }
    }
    return out + '"';
}

std::string key(const std::string& name) {
    const bool bare =
        !name.empty() &&
        name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") ==
            std::string::npos;
    return bare ? name : quoted(name);
}

} // namespace

std::string source_section(const SourceConfiguration& source) {
    std::string text = fmt::format("[source.{}]\n", key(source.name));
    const auto add = [&](const char* name, const std::string& value) {
        if (!value.empty()) text += fmt::format("{} = {}\n", name, quoted(value));
    };
    add("kind", source.kind);
    add("connection", source.connection);
    add("data_directory", source.data_directory);
    add("spool_directory", source.spool_directory);
    add("slot", source.slot);
    if (source.compression_level != 0)
        text += fmt::format("compression_level = {}\n", source.compression_level);
    if (source.rate_limit_mib != 0) text += fmt::format("rate_limit_mib = {}\n", source.rate_limit_mib);
    std::string tags;
    for (const auto& [name, value] : source.tags)
        tags += fmt::format("{}{} = {}", tags.empty() ? "" : ", ", key(name), quoted(value));
    if (!tags.empty()) text += fmt::format("tags = {{ {} }}\n", tags);
    return text;
}

void append_source(const std::string& named, const SourceConfiguration& source) {
    // What a link leads to is replaced, not the link.
    const std::string file = std::filesystem::canonical(named).string();
    const Bytes before = read_file(file, most_bytes);
    std::string text(as_text(before));
    if (parse_configuration(text, file).sources.contains(source.name)) {
        throw Error(ErrorCode::already_exists, fmt::format("{} has a source '{}' already", file, source.name),
                    "choose another name, or take that section out");
    }
    if (!text.empty() && !text.ends_with('\n')) text += '\n';
    text += fmt::format("{}{}", text.empty() ? "" : "\n", source_section(source));
    parse_configuration(text, file); // what was added must be read as it was meant
    struct stat status{};
    if (::stat(file.c_str(), &status) != 0) throw system_error(errno, file);
    write_file_durably_for(FileOwner{status.st_uid, status.st_gid}, file, as_bytes(text),
                           status.st_mode & 07777);
}

} // namespace holdfast
