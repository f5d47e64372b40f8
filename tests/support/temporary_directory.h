// A directory that lives as long as its owner.
#pragma once

#include <filesystem>
#include <string>

namespace holdfast::test {

class TemporaryDirectory {
  public:
    // Made under the system's directory for temporary files, or under `parent`.
    explicit TemporaryDirectory(const std::filesystem::path& parent = std::filesystem::temp_directory_path());
    ~TemporaryDirectory();
    TemporaryDirectory(const TemporaryDirectory&) = delete;
    TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

    const std::filesystem::path& path() const { return path_; }
    std::string operator/(const std::string& name) const { return (path_ / name).string(); }

  private:
    std::filesystem::path path_;
};

} // namespace holdfast::test
