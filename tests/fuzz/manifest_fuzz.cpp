// backup_manifest. The input is one without its last line, which is made to fit, so that what is behind the
// checksum is reached; what is accepted is written and read the same.
#include "base/error.h"
#include "postgres/files/backup_manifest.h"

#include <array>
#include <cstdlib>

#include <openssl/sha.h>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace holdfast;
    using namespace holdfast::postgres;
    std::array<Byte, SHA256_DIGEST_LENGTH> digest{};
    std::string text(as_text({data, size}));
    text += '\n';
    SHA256(as_bytes(text).data(), text.size(), digest.data());
    text += "\"Manifest-Checksum\": \"" + to_hex(digest) + "\"}\n";
    try {
        const BackupManifest manifest = parse_backup_manifest(text);
        if (manifest.ranges.empty()) return 0;
        std::string again;
        BackupManifestWriter writer([&](std::string_view piece) { again += piece; },
                                    manifest.format_version == 1 ? 16 : 17,
                                    manifest.system_identifier.value_or(0));
        for (const ManifestFile& file : manifest.files) writer.add(file);
        writer.finish(manifest.ranges);
        const BackupManifest read = parse_backup_manifest(again);
        const bool same = read.files == manifest.files && read.ranges == manifest.ranges &&
                          read.system_identifier == manifest.system_identifier;
        if (!same) std::abort();
    } catch (const Error& error) {
        if (error.code() != ErrorCode::corrupt && error.code() != ErrorCode::incompatible) std::abort();
    }
    return 0;
}
