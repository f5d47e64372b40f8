// What an S3 server answers: the first byte says which answer it should be.
#include "base/error.h"
#include "store/s3_xml.h"

namespace holdfast {

namespace {

void read_answer(unsigned kind, ByteView document) {
    switch (kind % 5) {
    case 0: {
        const S3ObjectPage page = parse_object_page(document);
        if (page.truncated && page.continuation_token.empty()) __builtin_trap();
        return;
    }
    case 1: {
        const S3VersionPage page = parse_version_page(document);
        if (page.truncated && page.next_key.empty()) __builtin_trap();
        return;
    }
    case 2: {
        const S3Part part{1, parse_upload_id(document)};
        render_complete_upload({part});
        return;
    }
    case 3: {
        const Retention retention = parse_retention(document);
        const std::string written = render_retention(retention);
        if (parse_retention(as_bytes(written)).until < retention.until) __builtin_trap();
        return;
    }
    default:
        parse_s3_error(document);
    }
}

} // namespace

} // namespace holdfast

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    try {
        holdfast::read_answer(data[0], {data + 1, size - 1});
    } catch (const holdfast::Error& error) {
        if (error.code() != holdfast::ErrorCode::corrupt) __builtin_trap();
    }
    return 0;
}
