#include "catalog/damaged_file.h"

#include "base/error.h"
#include "base/file_descriptor.h"
#include "catalog/sqlite_database.h"

#include <array>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string_view>

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

bool is_in(const std::filesystem::path& file, const std::filesystem::path& directory) {
    return std::filesystem::weakly_canonical(file) ==
           std::filesystem::weakly_canonical(directory / file.filename());
}

// "Database File Format" of SQLite, section 1.3.1.
bool begins_as_sqlite(const std::string& file) {
    constexpr std::string_view magic("SQLite format 3\0", 16);
    std::array<char, magic.size()> head{};
    std::ifstream stream(file, std::ios::binary);
    stream.read(head.data(), head.size());
    return std::string_view(head.data(), head.size()) == magic;
}

void move_file(const std::string& from, const std::string& to) {
    if (std::rename(from.c_str(), to.c_str()) != 0 && errno != ENOENT) throw system_error(errno, from);
}

} // namespace

std::optional<std::string> set_aside_when_damaged(const std::string& url, const std::string& own_directory,
                                                  Clock& clock) {
    const auto file = sqlite_file(url);
    if (!file || !std::filesystem::exists(*file)) return std::nullopt;
    if (!is_in(*file, own_directory) && !begins_as_sqlite(*file)) return std::nullopt;
    const bool whole = is_whole(*file);
    SqliteDatabase::forget_damage(*file);
    if (whole) return std::nullopt;
    std::string aside = fmt::format("{}.damaged-{}", *file, to_rfc3339(clock.now()));
    // The file first: without its log it may pass for whole, and be as it was long before. A log that is left
    // without its file, as by a crash here, SQLite takes away when it makes a new one.
    for (const char* suffix : {"", "-wal", "-shm"}) {
        move_file(*file + suffix, aside + suffix);
        sync_directory(std::filesystem::path(*file).parent_path());
    }
    return aside;
}

} // namespace holdfast
