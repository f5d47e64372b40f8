// Objects that go up in parts.
#pragma once

#include "store/s3_client.h"

namespace holdfast {

// Views of the bytes [offset, offset + length) of `parts` taken as one; they point where `parts` point.
std::vector<ByteView> slice_parts(std::span<const ByteView> parts, std::uint64_t offset,
                                  std::uint64_t length);
// How large each part of an object is: at least `wanted`, and so that no more than 10,000 parts are needed.
std::uint64_t part_size_for(std::uint64_t object_bytes, std::uint64_t wanted);

// Uploads `parts` as the object `key`, one part after the other; `headers` go with the request that begins
// it. The object appears whole at the end, or not at all: when anything fails the upload is aborted, as far
// as the server can still be reached (a lifecycle rule of the bucket should remove what is left).
// `options.timeout` is for all of it.
void put_multipart(S3Client& client, const std::string& key, std::span<const ByteView> parts,
                   const NameValues& headers, const CallOptions& options, const std::string& what);

} // namespace holdfast
