#include "postgres/server/tar_reader.h"

#include "base/error.h"

#include <algorithm>
#include <limits>
#include <optional>

#include <fmt/format.h>

namespace holdfast::postgres {

namespace {

// Fields of a header: offset and length.
struct Field {
    std::size_t offset, length;
};
constexpr Field name_field{0, 100}, mode_field{100, 8}, uid_field{108, 8}, gid_field{116, 8},
    size_field{124, 12}, modified_field{136, 12}, checksum_field{148, 8}, link_field{157, 100},
    user_field{265, 32}, group_field{297, 32}, prefix_field{345, 155};
constexpr std::size_t kind_offset = 156;
constexpr std::size_t magic_offset = 257;

[[noreturn]] void fail(const std::string& why) {
    throw Error(ErrorCode::corrupt, "the archive that the server sends is damaged: " + why,
                "take the backup again", true);
}

std::string_view text_of(ByteView header, Field field) {
    const std::string_view all = as_text(header.subspan(field.offset, field.length));
    return all.substr(0, all.find('\0'));
}

std::uint64_t base_256(ByteView bytes) {
    std::uint64_t value = bytes[0] & 0x7fu;
    for (const Byte byte : bytes.subspan(1)) {
        if (value >> 55 != 0) fail("a number is too large");
        value = value << 8 | byte;
    }
    return value;
}

std::uint64_t number_of(ByteView header, Field field, std::string_view what) {
    const ByteView bytes = header.subspan(field.offset, field.length);
    if ((bytes[0] & 0x80) != 0) return base_256(bytes);
    std::string_view digits = as_text(bytes);
    digits =
        digits.substr(0, digits.find_first_of(std::string_view("\0 ", 2), digits.find_first_not_of(' ')));
    digits.remove_prefix(std::min(digits.find_first_not_of(' '), digits.size()));
    std::uint64_t value = 0;
    for (const char digit : digits) {
        if (digit < '0' || digit > '7') fail(fmt::format("its {} is no number", what));
        value = value << 3 | static_cast<std::uint64_t>(digit - '0'); // at most 12 digits: 36 bits
    }
    return value;
}

// The sum of all bytes of the header, those of the checksum itself counted as spaces.
std::uint64_t checksum_of(ByteView header) {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < header.size(); ++i) {
        const bool own = i >= checksum_field.offset && i < checksum_field.offset + checksum_field.length;
        sum += own ? Byte{' '} : header[i];
    }
    return sum;
}

// Takes "./", doubled slashes and a slash at the end away, and refuses what would lead elsewhere.
std::string plain_path(std::string_view path) {
    if (path.starts_with('/')) fail(fmt::format("the absolute path {}", path));
    std::string plain;
    for (std::size_t begin = 0; begin <= path.size();) {
        const std::size_t end = std::min(path.find('/', begin), path.size());
        const std::string_view part = path.substr(begin, end - begin);
        begin = end + 1;
        if (part == "..") fail(fmt::format("the path {} leads out of it", path));
        if (part.empty() || part == ".") continue;
        if (!plain.empty()) plain += '/';
        plain += part;
    }
    return plain;
}

TarEntry::Kind kind_of(Byte flag) {
    switch (flag) {
    case '0':
    case 0:
        return TarEntry::Kind::file;
    case '2':
        return TarEntry::Kind::symbolic_link;
    case '5':
        return TarEntry::Kind::directory;
    default:
        fail(fmt::format("an entry of the unknown kind {}", flag));
    }
}

TarEntry parse_header(ByteView header) {
    if (number_of(header, checksum_field, "checksum") != checksum_of(header))
        fail("a header's checksum is wrong");
    if (as_text(header.subspan(magic_offset, 5)) != "ustar") fail("a header is not ustar");
    TarEntry entry;
    entry.kind = kind_of(header[kind_offset]);
    std::string path(text_of(header, name_field));
    if (const std::string_view prefix = text_of(header, prefix_field); !prefix.empty())
        path = fmt::format("{}/{}", prefix, path);
    entry.path = plain_path(path);
    entry.mode = static_cast<std::uint32_t>(number_of(header, mode_field, "mode") & 07777);
    const std::uint64_t modified = number_of(header, modified_field, "time");
    entry.modified = static_cast<std::int64_t>(
        std::min<std::uint64_t>(modified, std::numeric_limits<std::int64_t>::max()));
    entry.uid = static_cast<std::uint32_t>(number_of(header, uid_field, "owner"));
    entry.gid = static_cast<std::uint32_t>(number_of(header, gid_field, "group"));
    entry.user = text_of(header, user_field);
    entry.group = text_of(header, group_field);
    if (entry.kind == TarEntry::Kind::file) {
        if (entry.path.empty()) fail("a file without a name");
        entry.size = number_of(header, size_field, "size");
        if (entry.size > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
            fail("a number is too large");
    }
    if (entry.kind == TarEntry::Kind::symbolic_link) entry.link_target = text_of(header, link_field);
    return entry;
}

} // namespace

void TarReader::take(ByteView piece) {
    while (!piece.empty()) {
        if (content_left_ > 0) {
            const ByteView part =
                piece.first(static_cast<std::size_t>(std::min<std::uint64_t>(content_left_, piece.size())));
            visitor_->data(part);
            content_left_ -= part.size();
            piece = piece.subspan(part.size());
        } else if (padding_left_ > 0) {
            const auto skipped =
                static_cast<std::size_t>(std::min<std::uint64_t>(padding_left_, piece.size()));
            padding_left_ -= skipped;
            piece = piece.subspan(skipped);
        } else {
            const std::size_t part = std::min(block_bytes - header_filled_, piece.size());
            std::copy_n(piece.begin(), part, header_.begin() + static_cast<std::ptrdiff_t>(header_filled_));
            header_filled_ += part;
            piece = piece.subspan(part);
            if (header_filled_ == block_bytes) take_header();
        }
        if (in_entry_ && content_left_ == 0) {
            in_entry_ = false;
            visitor_->end_entry();
        }
    }
}

void TarReader::take_header() {
    header_filled_ = 0;
    if (std::ranges::all_of(header_, [](Byte byte) { return byte == 0; })) {
        ++empty_blocks_; // two are the end mark; more may fill the last record
        return;
    }
    if (empty_blocks_ > 0) fail("more behind its end");
    const TarEntry entry = parse_header(header_);
    content_left_ = entry.size;
    padding_left_ = (block_bytes - entry.size % block_bytes) % block_bytes;
    in_entry_ = true;
    visitor_->entry(entry);
}

void TarReader::finish() const {
    if (content_left_ > 0 || padding_left_ > 0 || header_filled_ > 0) fail("it ends inside an entry");
}

} // namespace holdfast::postgres
