#include "postgres/files/tablespace_map.h"

#include "base/error.h"
#include "documents/entry_name.h"

#include <charconv>
#include <set>

#include <fmt/format.h>

namespace holdfast::postgres {

namespace {

constexpr int first_version_with_escaped_backslashes = 14;

bool is_line_break(char c) { return c == '\n' || c == '\r'; }

// Takes one line off `text`, without its escapes.
std::string take_line(std::string_view& text, bool escaped_backslashes) {
    std::string line;
    while (!text.empty()) {
        const char c = text.front();
        text.remove_prefix(1);
        if (is_line_break(c)) return line;
        const bool escape =
            c == '\\' && !text.empty() && (escaped_backslashes || is_line_break(text.front()));
        if (!escape) {
            line += c;
            continue;
        }
        line += text.front();
        text.remove_prefix(1);
    }
    throw Error(ErrorCode::corrupt,
                fmt::format("tablespace_map: the line '{}' does not end", printable(line.substr(0, 200))),
                "use the text that pg_backup_stop() gave, unchanged");
}

} // namespace

std::vector<TablespaceLocation> parse_tablespace_map(std::string_view text, int major_version) {
    const bool escaped_backslashes = major_version >= first_version_with_escaped_backslashes;
    std::vector<TablespaceLocation> tablespaces;
    std::set<Oid> seen;
    while (!text.empty()) {
        const std::string line = take_line(text, escaped_backslashes);
        const std::size_t space = std::min(line.find(' '), line.size());
        TablespaceLocation tablespace;
        const auto [end, error] = std::from_chars(line.data(), line.data() + space, tablespace.oid);
        if (space < line.size()) tablespace.path = line.substr(space + 1);
        const bool fits = error == std::errc() && end == line.data() + space && tablespace.oid != 0 &&
                          tablespace.path.starts_with('/') && tablespace.path.find('\0') == std::string::npos;
        if (!fits || !seen.insert(tablespace.oid).second) {
            throw Error(ErrorCode::corrupt,
                        fmt::format("tablespace_map: the line '{}' {}", printable(line.substr(0, 200)),
                                    fits ? "names a tablespace a second time" : "is no tablespace and path"),
                        "use the text that pg_backup_stop() gave, unchanged");
        }
        tablespaces.push_back(std::move(tablespace));
    }
    return tablespaces;
}

std::string write_tablespace_map(std::span<const TablespaceLocation> tablespaces, int major_version) {
    const bool escaped_backslashes = major_version >= first_version_with_escaped_backslashes;
    std::string text;
    for (const TablespaceLocation& tablespace : tablespaces) {
        const std::string& path = tablespace.path;
        if (!path.starts_with('/') || path.find('\0') != std::string::npos) {
            throw Error(ErrorCode::usage,
                        fmt::format("the place '{}' for tablespace {} is not an absolute path",
                                    printable(path), tablespace.oid),
                        "give a path that begins with '/'");
        }
        text += fmt::format("{} ", tablespace.oid);
        for (std::size_t i = 0; i < path.size(); ++i) {
            const bool before_break = i + 1 == path.size() || is_line_break(path[i + 1]);
            if (path[i] == '\\' && !escaped_backslashes && before_break) {
                throw Error(
                    ErrorCode::usage,
                    fmt::format("PostgreSQL {} has no form for the tablespace path '{}' in tablespace_map",
                                major_version, printable(path)),
                    "choose a path without a backslash at its end or before a line break");
            }
            if (is_line_break(path[i]) || (path[i] == '\\' && escaped_backslashes)) text += '\\';
            text += path[i];
        }
        text += '\n';
    }
    return text;
}

} // namespace holdfast::postgres
