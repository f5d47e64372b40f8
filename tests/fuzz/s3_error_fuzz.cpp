// Answers of an S3 server that are no success, from any server or proxy: they become an Error that says so.
// The input is the status (two bytes), the values of four headers on a line each, and the body.
#include "store/s3_error.h"

#include <algorithm>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace holdfast;
    if (size < 2) return 0;
    S3Answer answer;
    answer.http.status = 100 + (data[0] | data[1] << 8) % 500;
    std::string_view rest = as_text({data + 2, size - 2});
    for (const char* header : {"date", "retry-after", "x-amz-bucket-region", "x-amz-request-id"}) {
        const std::size_t end = std::min(rest.find('\n'), rest.size());
        answer.http.headers.emplace(header, rest.substr(0, end));
        rest.remove_prefix(std::min(rest.size(), end + 1));
    }
    answer.error = parse_s3_error(as_bytes(rest)).value_or(S3ErrorBody{});
    S3Settings settings;
    settings.bucket = "bucket";
    settings.endpoint = "https://store.example";
    const Error error = s3_error(answer, "reading packs/1", settings, from_rfc3339("2026-11-20T00:00:00Z"));
    if (error.message().find("reading packs/1") == std::string::npos) std::abort();
    if (error.retry_after_seconds() < 0) std::abort();
    // Nothing of the other side may reach a terminal as more than a line of text.
    if (error.message().find_first_of("\n\x1b") != std::string::npos) std::abort();
    if (error.hint().find_first_of("\n\x1b") != std::string::npos) std::abort();
    return 0;
}
