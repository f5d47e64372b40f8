#include "base/random.h"
#include "postgres/files/backup_manifest.h"
#include "support/error_matchers.h"

#include <gtest/gtest.h>
#include <openssl/sha.h>

namespace holdfast::postgres {
namespace {

using holdfast::test::code_of;
using holdfast::test::error_of;

const std::vector<WalRange> one_range{{1, Lsn{0x2000028}, Lsn{0x2000138}}};

std::string write(int version, const std::vector<ManifestFile>& files,
                  const std::vector<WalRange>& ranges = one_range) {
    std::string text;
    BackupManifestWriter writer([&](std::string_view piece) { text += piece; }, version, 7710563459101843068);
    for (const ManifestFile& file : files) writer.add(file);
    writer.finish(ranges);
    return text;
}

// The text with its checksum made right again, so that what else is wrong is found.
std::string resealed(std::string text) {
    const std::size_t line = text.rfind('\n', text.size() - 2) + 1;
    std::array<Byte, SHA256_DIGEST_LENGTH> digest{};
    SHA256(as_bytes(text).data(), line, digest.data());
    return text.substr(0, line) + "\"Manifest-Checksum\": \"" + to_hex(digest) + "\"}\n";
}

std::string replaced(std::string text, std::string_view from, std::string_view to) {
    const std::size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return text.replace(at, from.size(), to);
}

const std::vector<ManifestFile> two_files{
    {"PG_VERSION", 3, from_rfc3339("2026-11-20T23:54:21Z"), 0x12345678},
    {"base/5/1259", 8192, from_rfc3339("1999-12-31T23:59:59.999Z"), std::nullopt}};

// The form as PostgreSQL's documentation of it has it.
TEST(BackupManifest, IsWrittenAsServersDo) {
    const std::string files =
        "\"Files\": [\n"
        "{ \"Path\": \"PG_VERSION\", \"Size\": 3, \"Last-Modified\": \"2026-11-20 23:54:21 GMT\", "
        "\"Checksum-Algorithm\": \"CRC32C\", \"Checksum\": \"78563412\" },\n"
        "{ \"Path\": \"base/5/1259\", \"Size\": 8192, "
        "\"Last-Modified\": \"1999-12-31 23:59:59 GMT\" }\n"
        "],\n"
        "\"WAL-Ranges\": [\n"
        "{ \"Timeline\": 1, \"Start-LSN\": \"0/2000028\", \"End-LSN\": \"0/2000138\" }\n"
        "],\n";
    for (int version = 13; version <= 18; ++version) {
        const std::string head = version < 17 ? "{ \"PostgreSQL-Backup-Manifest-Version\": 1,\n"
                                              : "{ \"PostgreSQL-Backup-Manifest-Version\": 2,\n"
                                                "\"System-Identifier\": 7710563459101843068,\n";
        EXPECT_EQ(write(version, two_files), resealed(head + files + "\n"));
    }
}

TEST(BackupManifest, IsReadBack) {
    SeededRandom random(4);
    std::vector<ManifestFile> files;
    for (int i = 0; i < 500; ++i) {
        Bytes path(1 + random.below(40));
        random.fill(path);
        for (Byte& byte : path) byte = byte == 0 ? Byte{'x'} : byte;
        ManifestFile file{std::string(as_text(path)), random.u64() >> random.below(64),
                          Timestamp(std::chrono::seconds(random.below(std::uint64_t{1} << 32))),
                          std::nullopt};
        if (i % 3 != 0) file.crc32c = static_cast<std::uint32_t>(random.u64());
        files.push_back(file);
    }
    files.push_back({"b\xc3\xbcro/\"quoted\"\\ \b\f\n\r\t\x01\x1f\x7f", 1, Timestamp{}, 0U});
    files.push_back({"latin-\xfc", UINT64_MAX, Timestamp{}, UINT32_MAX});
    const std::vector<WalRange> ranges{{3, Lsn{0x500000000}, Lsn{0x600000000}},
                                       {2, Lsn{0x4000028}, Lsn{0x500000000}}};
    for (const int version : {13, 18}) {
        const BackupManifest manifest = parse_backup_manifest(write(version, files, ranges));
        EXPECT_EQ(manifest.format_version, version == 13 ? 1 : 2);
        EXPECT_EQ(manifest.system_identifier.value_or(0), version == 18 ? 7710563459101843068U : 0U);
        EXPECT_EQ(manifest.files, files);
        EXPECT_EQ(manifest.ranges, ranges);
    }
    EXPECT_TRUE(parse_backup_manifest(write(15, {})).files.empty());
}

TEST(BackupManifest, OnlyNamesThatAreNotUtf8AreEncoded) {
    const std::string text = write(15, {{"b\xc3\xbcro", 1, Timestamp{}, 0U}, {"\xfc", 1, Timestamp{}, 0U}});
    EXPECT_NE(text.find("\"Path\": \"b\xc3\xbcro\""), std::string::npos);
    EXPECT_NE(text.find("\"Encoded-Path\": \"fc\""), std::string::npos);
}

TEST(BackupManifest, IsWrittenFileByFile) {
    std::size_t longest = 0;
    std::size_t pieces = 0;
    BackupManifestWriter writer(
        [&](std::string_view piece) {
            longest = std::max(longest, piece.size());
            ++pieces;
        },
        15, 0);
    for (int i = 0; i < 100'000; ++i) writer.add(two_files[0]);
    writer.finish(one_range);
    EXPECT_LT(longest, 400U);
    EXPECT_GT(pieces, 100'000U);
}

TEST(BackupManifest, AnyChangeBreaksItsChecksum) {
    const std::string text = write(15, two_files);
    for (std::size_t at = 0; at < text.size(); ++at) {
        std::string damaged = text;
        damaged[at] = static_cast<char>(damaged[at] ^ 1);
        ASSERT_EQ(code_of([&] { parse_backup_manifest(damaged); }), "corrupt") << at;
        ASSERT_EQ(code_of([&] { parse_backup_manifest(text.substr(0, at)); }), "corrupt") << at;
    }
    EXPECT_EQ(code_of([&] { parse_backup_manifest(text + "\n"); }), "corrupt");
}

TEST(BackupManifest, OtherFormsAreRefused) {
    struct Case {
        const char* from;
        const char* to;
        const char* code;
    };
    for (const Case& bad : {Case{"Version\": 1", "Version\": 3", "incompatible"},
                            Case{"Version\": 1", "Version\": 2", "corrupt"},
                            Case{"Version\": 1", "Version\": \"1\"", "corrupt"},
                            Case{"CRC32C", "SHA256", "incompatible"},
                            Case{"78563412", "785634", "corrupt"},
                            Case{"78563412", "7856341", "corrupt"},
                            Case{"78563412", "7856341x", "corrupt"},
                            Case{", \"Checksum\": \"78563412\"", "", "corrupt"},
                            Case{"\"Path\": \"PG_VERSION\", ", "", "corrupt"},
                            Case{"PG_VERSION", "", "corrupt"},
                            Case{"PG_VERSION", "a\\u0000b", "corrupt"},
                            Case{"\"Path\": \"PG", "\"Encoded-Path\": \"PG", "corrupt"},
                            Case{"\"Size\": 3, ", "", "corrupt"},
                            Case{"\"Size\": 3", "\"Size\": -3", "corrupt"},
                            Case{"\"Size\": 3", "\"Size\": 3, \"Color\": 1", "corrupt"},
                            Case{"\"Size\": 3", "\"Size\": 3, \"Size\": 3", "corrupt"},
                            Case{"23:54:21 GMT", "23:54:21 CET", "corrupt"},
                            Case{"2026-11-20 ", "2026-13-20 ", "corrupt"},
                            Case{"2026-11-20 ", "2026-11-20T", "corrupt"},
                            Case{"\"Timeline\": 1", "\"Timeline\": 4294967296", "corrupt"},
                            Case{"0/2000028", "0:2000028", "corrupt"},
                            Case{"\"WAL-Ranges\"", "\"Wal-Ranges\"", "corrupt"},
                            Case{"\"Files\": [", "\"Files\": [1,", "corrupt"},
                            Case{"\"Files\": [", "\"Files\": {", "corrupt"}}) {
        EXPECT_EQ(code_of([&] {
                      parse_backup_manifest(resealed(replaced(write(15, two_files), bad.from, bad.to)));
                  }),
                  bad.code)
            << bad.to;
    }
    for (const char* text : {"", "\n", "\n\n", "{}", "{}\n", "null\n"}) {
        EXPECT_EQ(code_of([&] { parse_backup_manifest(text); }), "corrupt");
    }
}

TEST(BackupManifest, NamesSomeLog) {
    BackupManifestWriter writer([](std::string_view) {}, 15, 0);
    EXPECT_EQ(code_of([&] { writer.finish({}); }), "internal");
}

TEST(BackupManifest, WhatTheSinkThrowsComesOut) {
    EXPECT_EQ(code_of([] {
                  BackupManifestWriter([](std::string_view) { throw Error(ErrorCode::no_space, "full"); }, 15,
                                       0);
              }),
              "no_space");
}

} // namespace
} // namespace holdfast::postgres
