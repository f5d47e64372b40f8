#include "postgres/archive/log_replacement.h"

#include "base/crc32c.h"
#include "base/error.h"
#include "base/file_descriptor.h"
#include "postgres/wal/wal_record.h"

#include <algorithm>
#include <cstring>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

namespace holdfast::postgres {

namespace {

constexpr std::size_t checksum_offset = 20; // in a record's header
constexpr std::size_t page_header_bytes = 24;
constexpr std::size_t first_page_header_bytes = 40;

Bytes bytes_of(std::string_view digits, std::string_view what) {
    try {
        return from_hex(digits);
    } catch (const Error&) {
        throw Error(ErrorCode::corrupt, fmt::format("{} has something else than digits", what));
    }
}

} // namespace

Bytes with_text(ByteView record, std::size_t text_offset, std::string_view text) {
    if (text_offset < wal_record_header_bytes || text_offset >= record.size())
        throw Error(ErrorCode::internal, "a record has no text where one is to be replaced");
    if (text.size() >= record.size() - text_offset) return {}; // a zero must follow
    Bytes changed(record.begin(), record.end());
    std::fill(changed.begin() + static_cast<std::ptrdiff_t>(text_offset), changed.end(), Byte{0});
    std::ranges::copy(as_bytes(text), changed.begin() + static_cast<std::ptrdiff_t>(text_offset));
    const ByteView view(changed);
    const std::uint32_t crc =
        crc32c(crc32c(0, view.subspan(wal_record_header_bytes)), view.first(checksum_offset));
    std::memcpy(changed.data() + checksum_offset, &crc, sizeof crc);
    return changed;
}

std::vector<LogReplacement> replace_record(Lsn start, ByteView was, ByteView now,
                                           std::uint64_t segment_bytes) {
    if (was.size() != now.size()) throw Error(ErrorCode::internal, "a record is to change its length");
    std::vector<LogReplacement> all;
    Lsn at = start;
    for (std::size_t done = 0; done < was.size();) {
        const std::uint64_t in_page = at.value % wal_page_bytes;
        if (in_page == 0)
            at = at + (at.value % segment_bytes == 0 ? first_page_header_bytes : page_header_bytes);
        const std::size_t length =
            std::min<std::size_t>(wal_page_bytes - at.value % wal_page_bytes, was.size() - done);
        const ByteView before = was.subspan(done, length), after = now.subspan(done, length);
        if (!std::ranges::equal(before, after))
            all.push_back({at, {before.begin(), before.end()}, {after.begin(), after.end()}});
        done += length;
        at = at + length;
    }
    return all;
}

std::string write_replacements(const std::vector<LogReplacement>& replacements) {
    std::string text;
    for (const LogReplacement& one : replacements)
        text += fmt::format("{} {} {}\n", one.at.str(), to_hex(one.was), to_hex(one.now));
    return text;
}

std::vector<LogReplacement> parse_replacements(std::string_view text, std::string_view what) {
    std::vector<LogReplacement> all;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        const std::string_view line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        const std::size_t first = line.find(' '), second = line.rfind(' ');
        const auto at = first < second ? parse_lsn(line.substr(0, first)) : std::nullopt;
        if (!at || second == std::string_view::npos)
            throw Error(ErrorCode::corrupt, fmt::format("{} has a line that is no replacement", what));
        LogReplacement one{*at, bytes_of(line.substr(first + 1, second - first - 1), what),
                           bytes_of(line.substr(second + 1), what)};
        if (one.was.empty() || one.was.size() != one.now.size())
            throw Error(ErrorCode::corrupt, fmt::format("{} has a replacement of another length", what));
        all.push_back(std::move(one));
    }
    return all;
}

std::size_t apply_replacements(const std::vector<LogReplacement>& replacements, const std::string& path,
                               const WalRange& segment) {
    std::size_t count = 0;
    FileDescriptor file;
    for (const LogReplacement& one : replacements) {
        if (one.at < segment.begin || one.at + one.was.size() > segment.end) continue;
        if (!file) file = open_file(path, O_RDWR | O_NOFOLLOW);
        const std::uint64_t offset = one.at - segment.begin;
        Bytes there(one.was.size());
        if (read_at(file.get(), offset, there, path) != there.size() || there != one.was) continue;
        write_at(file.get(), offset, one.now, path);
        ++count;
    }
    if (file) file.close(path);
    return count;
}

void end_log_at(Lsn end, const std::string& path, const WalRange& segment) {
    if (end >= segment.end) return;
    FileDescriptor file = open_file(path, O_RDWR | O_NOFOLLOW);
    const off_t keep = end > segment.begin ? static_cast<off_t>(end - segment.begin) : 0;
    if (::ftruncate(file.get(), keep) != 0 ||
        ::ftruncate(file.get(), static_cast<off_t>(segment.bytes())) != 0)
        throw system_error(errno, path);
    file.close(path);
}

} // namespace holdfast::postgres
