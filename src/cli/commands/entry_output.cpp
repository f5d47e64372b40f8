#include "cli/commands/entry_output.h"

#include "cli/command.h"
#include "documents/entry_metadata.h"
#include "documents/entry_name.h"
#include "service/bytes_json.h"

#include <fmt/format.h>

namespace holdfast {

namespace {

std::string mode_text(const TreeEntry& entry) {
    std::string text = entry.type == EntryType::file ? "-" : std::string(1, static_cast<char>(entry.type));
    constexpr std::string_view letters = "rwxrwxrwx";
    for (std::size_t bit = 0; bit < letters.size(); ++bit) {
        text += (entry.mode & (0400 >> bit)) != 0 ? letters[bit] : '-';
    }
    if ((entry.mode & 04000) != 0) text[3] = text[3] == 'x' ? 's' : 'S';
    if ((entry.mode & 02000) != 0) text[6] = text[6] == 'x' ? 's' : 'S';
    if ((entry.mode & 01000) != 0) text[9] = text[9] == 'x' ? 't' : 'T';
    return text;
}

std::string owner_text(const std::string& name, std::uint32_t number) {
    return name.empty() ? fmt::format("{}", number) : printable(name);
}

} // namespace

std::string entry_type_name(EntryType type) { return std::string(to_string(file_type(type))); }

nlohmann::json entry_json(const std::string& path, const TreeEntry& entry) {
    nlohmann::json value = {
        {"type", entry_type_name(entry.type)},
        {"mode", fmt::format("{:04o}", entry.mode)},
        {"uid", entry.uid},
        {"gid", entry.gid},
        {"mtime", fmt::format("{}.{:09}", entry.mtime.seconds, entry.mtime.nanoseconds)},
        {"size", entry.type == EntryType::directory ? entry.bytes : entry.size},
        {"links", entry.links},
    };
    set_bytes(value, "path", path);
    set_bytes(value, "user", entry.user);
    set_bytes(value, "group", entry.group);
    if (entry.type == EntryType::symlink) set_bytes(value, "target", entry.target);
    if (entry.type == EntryType::directory) value["files"] = entry.files;
    if ((entry.flags & entry_flag::changed) != 0) value["changed_while_read"] = true;
    if ((entry.flags & entry_flag::unreadable) != 0) value["unreadable"] = true;
    return value;
}

std::string entry_line(const std::string& path, const TreeEntry& entry) {
    std::string line = fmt::format("{} {:>3} {:<8} {:<8} {:>12} {} {}", mode_text(entry), entry.links,
                                   owner_text(entry.user, entry.uid), owner_text(entry.group, entry.gid),
                                   entry.type == EntryType::directory ? entry.bytes : entry.size,
                                   file_time_text(entry.mtime), printable(path));
    if (entry.type == EntryType::symlink) line += " -> " + printable(entry.target);
    if ((entry.flags & entry_flag::changed) != 0) line += "  (changed while it was read)";
    if ((entry.flags & entry_flag::unreadable) != 0) line += "  (could not be read)";
    return line;
}

} // namespace holdfast
