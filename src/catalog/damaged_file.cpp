#include "catalog/damaged_file.h"

#include "base/error.h"
#include "base/file_descriptor.h"
#include "catalog/sqlite_database.h"

#include <cerrno>
#include <cstdio>
#include <filesystem>

#include <fmt/format.h>

namespace holdfast {

namespace {

bool is_whole(const std::string& file) {
    try {
        SqliteDatabase database(file);
        const auto rows = database.Database::query("PRAGMA integrity_check(1)");
        return !rows.empty() && rows.front().text(0) == "ok";
    } catch (const Error& error) {
        if (error.code() == ErrorCode::corrupt) return false;
        throw;
    }
}

void move_file(const std::string& from, const std::string& to) {
    if (std::rename(from.c_str(), to.c_str()) != 0 && errno != ENOENT) throw system_error(errno, from);
}

} // namespace

std::optional<std::string> set_aside_when_damaged(const std::string& url, Clock& clock) {
    const auto file = sqlite_file(url);
    if (!file || !std::filesystem::exists(*file)) return std::nullopt;
    const bool whole = is_whole(*file);
    SqliteDatabase::forget_damage(*file);
    if (whole) return std::nullopt;
    std::string aside = fmt::format("{}.damaged-{}", *file, to_rfc3339(clock.now()));
    // The log first: a new file must not be taken for the one that it belongs to.
    for (const char* suffix : {"-wal", "-shm", ""}) move_file(*file + suffix, aside + suffix);
    sync_directory(std::filesystem::path(*file).parent_path());
    return aside;
}

} // namespace holdfast
