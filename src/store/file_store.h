// A store in a directory of this machine: file:///path.
//
// An object is a file of mode 0400 named as the object. It is written under a temporary name in `.tmp` inside
// the root, made durable there, and only then given its name, so that a name never shows anything but whole
// content. Every process that uses the root must be able to rename inside it, so `.tmp` must be on the same
// file system.
#pragma once

#include "base/file_descriptor.h"
#include "store/store.h"

#include <mutex>
#include <set>

namespace holdfast {

struct FileStoreSettings {
    // False leaves out every fsync: for tests and benchmarks only, since a power cut then loses objects.
    bool durable = true;
    // Temporaries that a dead process left are removed once they are this old by the file system's own clock.
    Duration temporary_age = std::chrono::hours(24);
    // False: a put throws Error(unavailable) where the root is missing or empty, as it is while the disk that
    // it lies on is not mounted.
    bool may_create = true;
};

// Thread-safe; any number of processes may use one root.
class FileStore final : public Store {
  public:
    // `root` is absolute; it need not exist, the first put creates it if it may. Touches nothing.
    explicit FileStore(std::string root, FileStoreSettings settings = {});

    using Store::put;
    std::string url() const override;
    StoreCapabilities capabilities() const override;
    PutResult put(const std::string& name, std::span<const ByteView> parts, const PutOptions& put_options,
                  const CallOptions& options) override;
    std::optional<Bytes> get(const std::string& name, ByteRange range, const CallOptions& options) override;
    std::optional<ObjectInfo> head(const std::string& name, const CallOptions& options) override;
    // Holds the names of one directory on each level in memory. Objects that come or go while it runs may or
    // may not be visited. Files that no object could be are not.
    void list(const std::string& prefix, const std::string& after,
              const std::function<bool(const ObjectInfo&)>& visit, const CallOptions& options) override;
    // Durable when it returns. Leaves empty directories behind.
    void remove(const std::string& name, const CallOptions& options) override;

  private:
    class Temporary;

    std::string path_of(const std::string& name) const;
    PutResult publish(const Temporary& temporary, const std::string& path, bool only_if_absent) const;
    void expect_root() const;
    void make_directory(const std::string& path);
    void sync(const std::string& directory) const;
    void remove_old_temporaries(int reference);

    const std::string root_;
    const FileStoreSettings settings_;
    std::mutex mutex_;
    std::set<std::string> made_directories_; // known to exist and to be durable
    bool cleaned_ = false;
};

// The path in file:///path with %XX decoded. Throws Error(usage) when it is not absolute or names another
// host.
std::string path_of_file_url(std::string_view url);
// The URL of an absolute path.
std::string file_url_of(std::string_view path);

} // namespace holdfast
