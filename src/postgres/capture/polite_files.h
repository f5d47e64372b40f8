// Reading files without spoiling the page cache for the server beside.
//
// What the cache did not hold before is dropped from it once it has been read; what it held stays. mincore(2)
// tells which pages those are: for whole files before the first byte is read, so that the kernel's own
// read-ahead is not taken for the server's wish; for pieces, before each. It answers owners of a file and
// root only; to others every page seems to be held, and then nothing is dropped. (preadv2 with RWF_NOWAIT
// would ask by reading, and has the answer only for the first page that is missing; cachestat counts pages
// without saying which.)
#pragma once

#include "postgres/capture/cluster_file.h"

namespace holdfast::postgres {

class PoliteFiles final : public ClusterFiles {
  public:
    Result<std::unique_ptr<ClusterFile>> open(int directory_fd, const std::string& name,
                                              const std::string& path, Access access) override;
};

// Which pages of [offset, offset + length) the page cache holds, by the machine's page size; `offset` is at
// the start of one. All of them when that cannot be told.
std::vector<bool> cached_pages(int fd, std::uint64_t offset, std::uint64_t length);

} // namespace holdfast::postgres
