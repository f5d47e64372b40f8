#include "postgres/files/backup_manifest.h"

#include "base/error.h"
#include "documents/entry_name.h"
#include "repository/json_form.h"
#include "repository/protocol/text_form.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <openssl/evp.h>

namespace holdfast::postgres {

namespace {

constexpr int first_version_with_identifier = 17;

// As PostgreSQL writes JSON strings; `text` is UTF-8.
std::string json_string(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        switch (c) {
        case '\b':
            out += "\\b";
            break;
        case '\f':
            out += "\\f";
            break;
        case '\n':
            out += "\\n";
            break;
        case '\r':
            out += "\\r";
            break;
        case '\t':
            out += "\\t";
            break;
        case '"':
            out += "\\\"";
            break;
        case '\\':
            out += "\\\\";
            break;
        default:
            if (static_cast<unsigned char>(c) < 0x20) {
                out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
            } else {
                out += c;
            }
        }
    }
    return out + '"';
}

std::string manifest_time(Timestamp time) {
    // "2026-11-20T23:54:21Z" without its letters.
    const std::string text = to_rfc3339(std::chrono::floor<std::chrono::seconds>(time));
    return fmt::format("{} {} GMT", text.substr(0, 10), text.substr(11, 8));
}

std::string crc_hex(std::uint32_t crc) {
    ByteWriter bytes;
    bytes.u32(crc);
    return to_hex(bytes.bytes());
}

std::string checksum_line(std::string_view digest) {
    return fmt::format("\"Manifest-Checksum\": \"{}\"}}\n", digest);
}

// SHA-256 in pieces.
class Sha256 {
  public:
    Sha256() { check(context_ ? EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) : 0); }
    void update(std::string_view text) { check(EVP_DigestUpdate(context_.get(), text.data(), text.size())); }
    // In hexadecimal; nothing may follow.
    std::string finish() {
        std::array<Byte, 32> bytes{};
        check(EVP_DigestFinal_ex(context_.get(), bytes.data(), nullptr));
        return to_hex(bytes);
    }

  private:
    struct Free {
        void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
    };
    static void check(int result) {
        if (result != 1) throw Error(ErrorCode::internal, "SHA-256 failed");
    }
    std::unique_ptr<EVP_MD_CTX, Free> context_{EVP_MD_CTX_new()};
};

} // namespace

struct BackupManifestWriter::Digest {
    Sha256 sha;
};

BackupManifestWriter::BackupManifestWriter(Sink sink, int major_version, std::uint64_t system_identifier)
    : sink_(std::move(sink)), digest_(std::make_unique<Digest>()) {
    if (major_version >= first_version_with_identifier) {
        write(fmt::format("{{ \"PostgreSQL-Backup-Manifest-Version\": 2,\n\"System-Identifier\": {},\n",
                          system_identifier));
    } else {
        write("{ \"PostgreSQL-Backup-Manifest-Version\": 1,\n");
    }
    write("\"Files\": [");
}

BackupManifestWriter::~BackupManifestWriter() = default;

void BackupManifestWriter::write(std::string_view text) {
    digest_->sha.update(text);
    sink_(text);
}

void BackupManifestWriter::add(const ManifestFile& file) {
    std::string text = first_ ? "\n" : ",\n";
    first_ = false;
    if (is_utf8(file.path)) {
        text += fmt::format("{{ \"Path\": {}", json_string(file.path));
    } else {
        text += fmt::format("{{ \"Encoded-Path\": \"{}\"", to_hex(as_bytes(file.path)));
    }
    text += fmt::format(", \"Size\": {}, \"Last-Modified\": \"{}\"", file.size, manifest_time(file.modified));
    if (file.crc32c) {
        text +=
            fmt::format(", \"Checksum-Algorithm\": \"CRC32C\", \"Checksum\": \"{}\"", crc_hex(*file.crc32c));
    }
    write(text + " }");
}

void BackupManifestWriter::finish(std::span<const WalRange> ranges) {
    if (ranges.empty()) throw Error(ErrorCode::internal, "a backup manifest names no log");
    write("\n],\n\"WAL-Ranges\": [\n");
    for (const WalRange& range : ranges) {
        write(fmt::format("{}{{ \"Timeline\": {}, \"Start-LSN\": \"{}\", \"End-LSN\": \"{}\" }}",
                          &range == &ranges.front() ? "" : ",\n", range.timeline, range.begin.str(),
                          range.end.str()));
    }
    write("\n],\n");
    // The checksum is of all lines before its own.
    sink_(checksum_line(digest_->sha.finish()));
}

namespace {

constexpr std::size_t path_limit_bytes = 8192;

void expect_keys(const JsonReader& object, std::vector<std::string> wanted) {
    std::ranges::sort(wanted);
    const std::vector<std::string> keys = object.keys();
    for (const std::string& key : keys) {
        if (!std::ranges::binary_search(wanted, key)) object.fail(printable(key), "is not known");
    }
    for (const std::string& key : wanted) {
        if (!object.has(key)) object.fail(key, "is missing");
    }
}

Timestamp read_time(const JsonReader& object) {
    constexpr std::string_view key = "Last-Modified";
    const std::string text = object.text(key, 64);
    try {
        // "2026-11-20 23:54:21 GMT"
        if (text.size() == 23 && text[10] == ' ' && text.ends_with(" GMT")) {
            return from_rfc3339(text.substr(0, 19) + "Z");
        }
    } catch (const Error&) {
        object.fail(key, "is not a time");
    }
    object.fail(key, "is not a time");
}

ManifestFile read_file_entry(const JsonReader& object) {
    const bool encoded = object.has("Encoded-Path");
    const bool summed = object.has("Checksum-Algorithm");
    std::vector<std::string> keys{encoded ? "Encoded-Path" : "Path", "Size", "Last-Modified"};
    if (summed) keys.insert(keys.end(), {"Checksum-Algorithm", "Checksum"});
    expect_keys(object, std::move(keys));
    ManifestFile file;
    if (encoded) {
        file.path = as_text(object.hex("Encoded-Path", path_limit_bytes));
    } else {
        file.path = object.text("Path", path_limit_bytes);
    }
    if (file.path.empty() || file.path.find('\0') != std::string::npos) {
        object.fail(encoded ? "Encoded-Path" : "Path", "is no path");
    }
    file.size = object.number("Size", UINT64_MAX);
    file.modified = read_time(object);
    if (!summed) return file;
    if (object.text("Checksum-Algorithm", 64) != "CRC32C") {
        throw Error(ErrorCode::incompatible, "backup_manifest has other checksums than CRC-32C",
                    "take the base backup with --manifest-checksums=CRC32C");
    }
    const Bytes crc = object.hex("Checksum", sizeof(std::uint32_t));
    if (crc.size() != sizeof(std::uint32_t)) object.fail("Checksum", "has another length");
    file.crc32c = ByteReader(crc, "checksum").u32();
    return file;
}

WalRange read_range(const JsonReader& object) {
    expect_keys(object, {"Timeline", "Start-LSN", "End-LSN"});
    const auto position = [&](std::string_view key) {
        const auto lsn = parse_lsn(object.text(key, 32));
        if (!lsn) object.fail(key, "is no position in the log");
        return *lsn;
    };
    return {static_cast<TimelineId>(object.number("Timeline", UINT32_MAX)), position("Start-LSN"),
            position("End-LSN")};
}

} // namespace

BackupManifest parse_backup_manifest(std::string_view text) {
    const std::size_t last_line = text.size() < 2 ? text.npos : text.rfind('\n', text.size() - 2);
    Sha256 sha;
    if (last_line != text.npos) sha.update(text.substr(0, last_line + 1));
    if (last_line == text.npos || text.substr(last_line + 1) != checksum_line(sha.finish())) {
        throw Error(ErrorCode::corrupt,
                    "backup_manifest does not end with its checksum, or is not what it is of",
                    "the file was changed or cut short after it was written");
    }
    const JsonReader object = JsonReader::parse(as_bytes(text), "backup_manifest", text.size());
    constexpr std::string_view version_key = "PostgreSQL-Backup-Manifest-Version";
    BackupManifest manifest;
    manifest.format_version = static_cast<int>(object.number(version_key, 1U << 30));
    if (manifest.format_version != 1 && manifest.format_version != 2) {
        throw Error(ErrorCode::incompatible,
                    fmt::format("backup_manifest has version {}", manifest.format_version),
                    "versions 1 and 2 are known");
    }
    std::vector<std::string> keys{std::string(version_key), "Files", "WAL-Ranges", "Manifest-Checksum"};
    if (manifest.format_version == 2) {
        keys.emplace_back("System-Identifier");
        manifest.system_identifier = object.number("System-Identifier", UINT64_MAX);
    }
    expect_keys(object, std::move(keys));
    for (const JsonReader& file : object.objects("Files", SIZE_MAX)) {
        manifest.files.push_back(read_file_entry(file));
    }
    for (const JsonReader& range : object.objects("WAL-Ranges", SIZE_MAX)) {
        manifest.ranges.push_back(read_range(range));
    }
    return manifest;
}

} // namespace holdfast::postgres
