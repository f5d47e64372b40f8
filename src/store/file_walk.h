// Listing a directory tree in the order of object names.
#pragma once

#include "store/store.h"

#include <sys/stat.h>

namespace holdfast {

Timestamp modified_of(const struct stat& status);
// What head and list say about a regular file.
ObjectInfo file_object_info(std::string name, const struct stat& status);
// The names in a directory but "." and "..", in any order; none when there is no such directory.
std::vector<std::string> file_names_in(const std::string& directory);

// One listing. Not thread-safe.
class FileWalk {
  public:
    // References must outlive the walk.
    FileWalk(const std::string& root, const std::string& prefix, const std::string& after,
             const std::function<bool(const ObjectInfo&)>& visit, std::stop_token stop)
        : root_(root), prefix_(prefix), after_(after), visit_(visit), stop_(std::move(stop)) {}
    void run();

  private:
    bool descend(const std::string& directory);
    bool may_hold_wanted(const std::string& directory) const;
    bool visit_file(const std::string& name);

    const std::string& root_;
    const std::string& prefix_;
    const std::string& after_;
    const std::function<bool(const ObjectInfo&)>& visit_;
    std::stop_token stop_;
};

} // namespace holdfast
