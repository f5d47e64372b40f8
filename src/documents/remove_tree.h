// Removing an entry with everything below it.
#pragma once

#include <string>

namespace holdfast {

// Removes entry `name` of the directory, of any type and of any depth; one that is not there is no error.
// Symbolic links are removed, never followed, also when somebody swaps entries meanwhile. Does not cross into
// other file systems: a mount point below is an Error(unsupported), and what was removed before it stays
// removed. Directories of our own that deny us access are opened up. Throws Error for everything that can't
// be removed; refuses names that check_entry_name refuses.
void remove_tree(int directory_fd, const std::string& name);

} // namespace holdfast
