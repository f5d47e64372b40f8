// Where a write-only holder keeps the structure secrets of its own runs, so that it can read back its own
// metadata.
#pragma once

#include "base/bytes.h"
#include "repository/ids.h"

#include <optional>
#include <string>
#include <vector>

namespace holdfast {

// What is kept is encrypted by the key ring; a cache sees and hands back opaque bytes. Losing it loses no
// data: the next backup reads its sources again. Thread-safe.
class RunSecretCache {
  public:
    virtual ~RunSecretCache() = default;
    // Durable when it returns.
    virtual void put(const RunId& run, ByteView sealed) = 0;
    virtual std::optional<Bytes> get(const RunId& run) = 0;
    // An absent one is no error.
    virtual void remove(const RunId& run) = 0;
    virtual std::vector<RunId> runs() = 0;
};

// One file of mode 0600 per run, in a directory of mode 0700 that is created when it is first needed.
class DirectoryRunSecretCache final : public RunSecretCache {
  public:
    explicit DirectoryRunSecretCache(std::string directory) : directory_(std::move(directory)) {}
    void put(const RunId& run, ByteView sealed) override;
    std::optional<Bytes> get(const RunId& run) override;
    void remove(const RunId& run) override;
    std::vector<RunId> runs() override;

  private:
    std::string path_of(const RunId& run) const { return directory_ + "/" + run.hex(); }

    std::string directory_;
};

} // namespace holdfast
