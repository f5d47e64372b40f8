// The XML that S3 speaks: answers read strictly, requests written. Formats after the Amazon S3 API Reference.
#pragma once

#include "store/store.h"

namespace holdfast {

struct S3Object {
    std::string key;
    std::uint64_t size_bytes = 0;
    Timestamp modified{};
    std::string etag{}; // without quotes
    std::string storage_class{};
};

struct S3ObjectPage {
    std::vector<S3Object> objects;
    bool truncated = false;
    std::string continuation_token{}; // never empty when truncated
};

struct S3Version {
    S3Object object;
    std::string version;
    bool latest = false;
    bool deleted = false;
};

struct S3VersionPage {
    std::vector<S3Version> versions; // in the order of the document: by key, newest first
    bool truncated = false;
    std::string next_key{}; // never empty when truncated
    std::string next_version{};
};

struct S3ErrorBody {
    std::string code;
    std::string message;
};

struct S3Part {
    unsigned number;
    std::string etag; // as the server gave it, quotes included
};

// All parsers throw Error(corrupt) when the document is not what was asked for. Keys are decoded.
S3ObjectPage parse_object_page(ByteView document);
S3VersionPage parse_version_page(ByteView document);
std::string parse_upload_id(ByteView document);
Retention parse_retention(ByteView document);
// Nothing unless `document` is an <Error>; never throws, since what a proxy says when it fails is anything.
std::optional<S3ErrorBody> parse_s3_error(ByteView document);

std::string render_complete_upload(const std::vector<S3Part>& parts);
// S3 counts in seconds: a fraction is rounded up, so that no lock ends early.
Timestamp retention_end(const Retention& retention);
std::string render_retention(const Retention& retention);
// `days` the object stays readable; `tier` is how fast it comes: Standard, Bulk or Expedited.
std::string render_restore(unsigned days, std::string_view tier);

} // namespace holdfast
