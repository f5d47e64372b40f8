// Files that are written for others than who runs this.
#pragma once

#include "base/bytes.h"

#include <optional>
#include <string>

#include <sys/types.h>

namespace holdfast {

struct FileOwner {
    uid_t user = 0;
    gid_t group = 0;
};
// Of a file or a directory, followed if it is a link. Throws when there is none.
FileOwner file_owner(const std::string& path);

// As write_file_durably(), and as root the file is the owner's from the first moment that it has its name.
void write_file_durably_for(const std::optional<FileOwner>& owner, const std::string& path, ByteView data,
                            unsigned mode = 0600);

} // namespace holdfast
