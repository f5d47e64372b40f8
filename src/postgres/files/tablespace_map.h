// tablespace_map: the symbolic links that a recovering server makes in pg_tblspc, a line "<oid> <path>" each.
//
// A line break in a path is written with a backslash before it. From version 14 a backslash is too; version
// 13 leaves backslashes alone, so that it has no form for a path that ends in one, or has one before a line
// break.
#pragma once

#include "postgres/files/relation_path.h"

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast::postgres {

struct TablespaceLocation {
    Oid oid = 0;
    std::string path;

    bool operator==(const TablespaceLocation&) const = default;
};

// `major_version` is the server's that wrote it. Throws Error(corrupt) on a line that is not of this form, a
// path that is not absolute, and a tablespace named twice.
std::vector<TablespaceLocation> parse_tablespace_map(std::string_view text, int major_version);

// The text that a server of `major_version` reads. Throws Error(usage) for a path that is not absolute or
// that the version has no form for.
std::string write_tablespace_map(std::span<const TablespaceLocation> tablespaces, int major_version);

} // namespace holdfast::postgres
