// URLs of stores, and files of profiles: the first byte says which.
#include "base/error.h"
#include "store/file_store.h"
#include "store/object_name.h"
#include "store/s3_settings.h"

namespace holdfast {

namespace {

void read_text(unsigned kind, std::string_view text) {
    switch (kind % 3) {
    case 0: {
        const S3Settings settings = parse_s3_url(text);
        if (!settings.prefix.empty() && !is_object_name(settings.prefix)) __builtin_trap();
        if (settings.effective_endpoint().find('@') != std::string::npos) __builtin_trap();
        return;
    }
    case 1:
        parse_profiles(text, "profiles");
        return;
    default: {
        const std::string path = path_of_file_url(text);
        if (path_of_file_url(file_url_of(path)) != path) __builtin_trap();
    }
    }
}

} // namespace

} // namespace holdfast

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    try {
        holdfast::read_text(data[0], {reinterpret_cast<const char*>(data) + 1, size - 1});
    } catch (const holdfast::Error& error) {
        if (error.code() != holdfast::ErrorCode::usage) __builtin_trap();
    }
    return 0;
}
