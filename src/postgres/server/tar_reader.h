// Reading a tar archive as it arrives, in pieces of any size.
//
// Format: POSIX.1-2017, pax, "ustar Interchange Format"; numbers may be in base 256 as GNU tar writes them,
// which PostgreSQL uses for files of 8 GiB and more. Archives that PostgreSQL 13 and 14 send have no end
// mark.
#pragma once

#include "base/bytes.h"

#include <array>
#include <cstdint>
#include <string>

namespace holdfast::postgres {

struct TarEntry {
    enum class Kind { file, directory, symbolic_link };
    Kind kind = Kind::file;
    std::string
        path; // relative, without "." and ".." parts and without a slash at its end; empty: the top itself
    std::uint32_t mode = 0;    // permission bits
    std::uint64_t size = 0;    // bytes of content; 0 but for files
    std::int64_t modified = 0; // seconds since 1970
    // The owner; names are empty where none are told. PostgreSQL always tells "postgres", whoever it runs as.
    std::uint32_t uid = 0, gid = 0;
    std::string user, group;
    std::string link_target;
};

// What is told of an archive, in order: entry, its content in pieces (only files of more than 0 bytes have
// any), end of entry.
class TarVisitor {
  public:
    virtual ~TarVisitor() = default;
    virtual void entry(const TarEntry& entry) = 0;
    virtual void data(ByteView piece) = 0;
    virtual void end_entry() = 0;
};

class TarReader {
  public:
    // `visitor` must outlive it.
    explicit TarReader(TarVisitor& visitor) : visitor_(&visitor) {}

    // Takes the next bytes. Throws Error(corrupt) for what is no tar archive that PostgreSQL would send: a
    // wrong checksum, an absolute path or one that leads out, an unknown kind of entry, bytes behind the end
    // mark. What the visitor throws passes through. After a throw the reader is of no use.
    void take(ByteView piece);
    // To be called after the last piece. Throws Error(corrupt) when the archive ends inside an entry.
    void finish() const;

  private:
    static constexpr std::size_t block_bytes = 512;
    void take_header();

    TarVisitor* visitor_;
    std::array<Byte, block_bytes> header_{};
    std::size_t header_filled_ = 0;
    std::uint64_t content_left_ = 0; // of the present entry
    std::uint64_t padding_left_ = 0; // behind it, to a whole block
    bool in_entry_ = false;
    unsigned empty_blocks_ = 0;
};

} // namespace holdfast::postgres
