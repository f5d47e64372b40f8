// backup_manifest: PostgreSQL's list of the files of a base backup, which pg_verifybackup checks a restored
// data directory by (PostgreSQL's documentation, "Backup Manifest Format").
//
// Version 1 of the format is read and written by servers 13 to 16; version 2, from 17, adds the system
// identifier. Files in pg_wal, and the manifest itself, are not in it; files of tablespaces are, by their
// path through pg_tblspc. Checksums here are CRC-32C, in the byte order of the machine, which is
// little-endian.
#pragma once

#include "base/bytes.h"
#include "base/clock.h"
#include "postgres/wal/lsn.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast::postgres {

struct ManifestFile {
    std::string path; // relative to the data directory; any bytes
    std::uint64_t size = 0;
    Timestamp modified; // whole seconds are kept
    std::optional<std::uint32_t> crc32c;

    bool operator==(const ManifestFile&) const = default;
};

// Writes a manifest in one pass; holds one file's entry at a time. Not thread-safe.
class BackupManifestWriter {
  public:
    // Gets the text piece by piece; what it throws comes out of the call that wrote.
    using Sink = std::function<void(std::string_view)>;

    // For a cluster of `major_version`; `system_identifier` is used from 17.
    BackupManifestWriter(Sink sink, int major_version, std::uint64_t system_identifier);
    ~BackupManifestWriter();
    BackupManifestWriter(const BackupManifestWriter&) = delete;
    BackupManifestWriter& operator=(const BackupManifestWriter&) = delete;

    void add(const ManifestFile& file);
    // The log that a recovery to the end of the backup reads, newest timeline first, at least one range; and
    // the end of the manifest. Nothing may be called after it.
    void finish(std::span<const WalRange> ranges);

  private:
    struct Digest;
    void write(std::string_view text);

    Sink sink_;
    std::unique_ptr<Digest> digest_;
    bool first_ = true;
};

struct BackupManifest {
    int format_version = 0;
    std::optional<std::uint64_t> system_identifier; // of version 2
    std::vector<ManifestFile> files;
    std::vector<WalRange> ranges;
};

// Reads a manifest of version 1 or 2 whole; for tests and comparisons, as its memory is that of the list.
// Throws Error(corrupt) unless its checksum is right and it has exactly the members of the format;
// Error(incompatible) for other versions of it, and for checksums that are not CRC-32C.
BackupManifest parse_backup_manifest(std::string_view text);

} // namespace holdfast::postgres
