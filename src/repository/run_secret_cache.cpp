#include "repository/run_secret_cache.h"

#include "base/error.h"
#include "base/file_descriptor.h"

#include <filesystem>

namespace holdfast {

namespace {

constexpr std::size_t entry_limit_bytes = 4096;

} // namespace

void DirectoryRunSecretCache::put(const RunId& run, ByteView sealed) {
    create_directories_private(directory_);
    write_file_durably(path_of(run), sealed, 0600);
}

std::optional<Bytes> DirectoryRunSecretCache::get(const RunId& run) {
    try {
        return read_file(path_of(run), entry_limit_bytes);
    } catch (const Error& error) {
        if (error.code() == ErrorCode::not_found) return std::nullopt;
        throw;
    }
}

void DirectoryRunSecretCache::remove(const RunId& run) {
    std::error_code error;
    std::filesystem::remove(path_of(run), error);
    if (error) throw system_error(error.value(), path_of(run));
}

std::vector<RunId> DirectoryRunSecretCache::runs() {
    std::vector<RunId> found;
    std::error_code error;
    for (std::filesystem::directory_iterator entry(directory_, error), end; !error && entry != end;
         entry.increment(error)) {
        if (const auto run = id_from_hex<16>(entry->path().filename().string())) found.push_back(*run);
    }
    if (error && error != std::errc::no_such_file_or_directory) throw system_error(error.value(), directory_);
    return found;
}

} // namespace holdfast
