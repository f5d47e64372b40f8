// backup_label, tablespace_map and postgresql.auto.conf, as a server or anyone else wrote them: what is
// accepted is written back the same. The first byte chooses.
#include "base/bytes.h"
#include "base/error.h"
#include "postgres/files/backup_label.h"
#include "postgres/files/recovery_settings.h"
#include "postgres/files/tablespace_map.h"

#include <cstdlib>

namespace {

using namespace holdfast;
using namespace holdfast::postgres;

void expect(bool condition) {
    if (!condition) std::abort();
}

void read_map(std::string_view text, int version) {
    const auto tablespaces = parse_tablespace_map(text, version);
    try {
        expect(parse_tablespace_map(write_tablespace_map(tablespaces, version), version) == tablespaces);
    } catch (const Error& error) {
        // Version 13 reads some paths that it has no form for.
        expect(error.code() == ErrorCode::usage && version == 13);
    }
}

void change_configuration(std::string_view text) {
    const std::string with = with_recovery_lines(text, "a = 'b'\n");
    // What has marks already loses what is between them; else nothing of it is lost.
    expect(with.starts_with(text) || with.size() < text.size() + with_recovery_lines("", "a = 'b'\n").size());
    with_recovery_lines(with, "");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::string_view text = as_text({data + 1, size - 1});
    try {
        switch (data[0] % 4) {
        case 0: {
            const BackupLabel label = parse_backup_label(text);
            expect(parse_backup_label(write_backup_label(label)) == label);
            return 0;
        }
        case 1:
            read_map(text, 13);
            return 0;
        case 2:
            read_map(text, 18);
            return 0;
        default:
            change_configuration(text);
        }
    } catch (const Error& error) {
        expect(error.code() == ErrorCode::corrupt || error.code() == ErrorCode::usage);
    }
    return 0;
}
