// The log of a server as it lies in pg_wal.
#pragma once

#include "base/error.h"
#include "postgres/wal/wal_reader.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace holdfast::test {

// The names of its segments of `timeline`, in order. `directory` is the data directory.
inline std::vector<std::string> wal_segments(const std::string& directory,
                                             postgres::TimelineId timeline = 1) {
    const std::string prefix = postgres::history_name(timeline).substr(0, 8);
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(directory + "/pg_wal"))
        if (const std::string name = entry.path().filename(); name.size() == 24 && name.starts_with(prefix))
            names.push_back(name);
    std::ranges::sort(names);
    return names;
}

inline Bytes read_whole_file(const std::string& path) {
    Bytes bytes(std::filesystem::file_size(path));
    std::ifstream file(path, std::ios::binary);
    file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    if (!file) throw Error(ErrorCode::io, "cannot read " + path);
    return bytes;
}

struct WalDirectoryRead {
    int version = 0;
    postgres::Lsn begin;
    postgres::Lsn last_start;
    postgres::Lsn last_end;
    std::uint64_t records = 0;
    std::uint64_t system_identifier = 0;
    std::string end; // the reason; "" when the files ended first
    std::string detail;
};

// Decodes all segments of one timeline until the log ends. The first must be there.
inline WalDirectoryRead read_wal_directory(const std::string& directory, postgres::TimelineId timeline,
                                           postgres::WalReader::RecordHandler on_record) {
    using namespace postgres;
    const std::vector<std::string> names = wal_segments(directory, timeline);
    const auto file = [&](const std::string& name) { return read_whole_file(directory + "/pg_wal/" + name); };
    const auto header = read_segment_header(file(names.at(0)));
    if (!header) throw Error(ErrorCode::corrupt, names[0] + " is no segment");
    WalReader reader({header->version, header->segment_bytes, 0, timeline}, header->begin,
                     std::move(on_record));
    for (const std::string& name : names) {
        if (segment_name(timeline, reader.position(), header->segment_bytes) != name) break;
        if (!reader.feed(file(name))) break;
    }
    WalDirectoryRead read{header->version,
                          header->begin,
                          reader.last_start(),
                          reader.last_end(),
                          reader.records(),
                          reader.system_identifier(),
                          {},
                          {}};
    if (reader.end()) {
        read.end = to_string(reader.end()->reason);
        read.detail = reader.end()->detail;
    }
    return read;
}

} // namespace holdfast::test
