#include "fuzz/real_inputs.h"
#include "postgres/files/backup_manifest.h"
#include "postgres/files/recovery_settings.h"
#include "postgres/files/tablespace_map.h"
#include "support/tar_header.h"
#include "unit/postgres/real_control_files.h"

#include <fmt/format.h>

namespace holdfast {

namespace {

void add_labels(std::vector<RealInput>& inputs) {
    const auto add = [&](const std::string& name, Byte selector, std::string_view text) {
        inputs.push_back({"backup_label", name, selected({selector}, text)});
    };
    const std::string label =
        "START WAL LOCATION: 0/2000028 (file 000000010000000000000002)\n"
        "CHECKPOINT LOCATION: 0/2000060\nBACKUP METHOD: streamed\nBACKUP FROM: primary\n"
        "START TIME: 2026-11-21 10:15:47 UTC\nLABEL: nightly\nSTART TIMELINE: 1\n";
    add("label", 0, label);
    add("label-incremental", 0, label + "INCREMENTAL FROM LSN: 0/1000028\nINCREMENTAL FROM TLI: 1\n");
    const std::vector<postgres::TablespaceLocation> tablespaces{{16384, "/srv/a b\nc"},
                                                                {16385, "/back\\slash"}};
    add("map-13", 1, postgres::write_tablespace_map(tablespaces, 13));
    add("map-18", 2, postgres::write_tablespace_map(tablespaces, 18));
    postgres::RecoverySettings settings;
    settings.target = postgres::RecoverToName{"it's"};
    settings.restore_command = "holdfast wal fetch %f %p";
    add("settings", 3, postgres::with_recovery_lines("work_mem = '1MB'", postgres::recovery_lines(settings)));
    add("settings-rewritten", 3, "# Do not edit\nrestore_command = 'x'\nwork_mem = '1MB'\n");
}

void add_manifest(std::vector<RealInput>& inputs, int version) {
    std::string text;
    postgres::BackupManifestWriter writer([&](std::string_view piece) { text += piece; }, version,
                                          7710563459101843068);
    writer.add({"PG_VERSION", 3, from_rfc3339("2026-11-20T23:54:21Z"), 0x12345678U});
    writer.add({"b\xc3\xbcro\n\"\\", 0, from_rfc3339("1970-01-01T00:00:00Z"), std::nullopt});
    writer.add({"latin-\xfc", 8192, from_rfc3339("2026-11-20T23:54:21Z"), 0U});
    const std::vector<postgres::WalRange> ranges{{2, {0x3000000}, {0x4000000}},
                                                 {1, {0x2000028}, {0x3000000}}};
    writer.finish(ranges);
    text.erase(text.rfind('\n', text.size() - 2)); // the target adds the last line
    inputs.push_back({"manifest", fmt::format("version-{}", version), selected({}, text)});
}

void add_paths(std::vector<RealInput>& inputs) {
    const auto add = [&](const std::string& name, std::string_view path) {
        inputs.push_back({"relation_path", name, selected({}, path)});
    };
    add("shared", "global/1262");
    add("database", "base/5/16384_vm.2");
    add("tablespace", "pg_tblspc/16500/PG_15_202209061/5/2619_fsm");
    add("init", "base/5/16390_init");
    add("temporary", "base/5/t3_16390_fsm.1");
    add("name", "16384_fsm.1");
    add("map", "base/5/pg_filenode.map");
    add("cache", "global/pg_internal.init.4711");
    add("slru", "pg_multixact/members/0001");
    add("long-slru", "pg_notify/000000000000001");
    add("wal", "pg_wal/000000010000000000000001");
    add("link", "pg_tblspc/16500");
    add("sorting", "base/pgsql_tmp/pgsql_tmp123.0");
}

void add_archives(std::vector<RealInput>& inputs) {
    const auto add = [&](const std::string& name, Byte mends, ByteView archive) {
        inputs.push_back({"tar", name, selected({73, mends}, archive)});
    };
    const auto append = [](Bytes& archive, const Bytes& more) {
        archive.insert(archive.end(), more.begin(), more.end());
    };
    Bytes archive = test::tar_header({.name = "base/", .kind = '5'});
    append(archive, test::tar_header({.name = "base/1259", .size = "00000001000 "}));
    append(archive, Bytes(512, 'x'));
    append(archive, test::tar_header({.name = "pg_tblspc/16500", .kind = '2'}));
    append(archive, test::tar_header({.name = "PG_VERSION", .size = "00000000003 "}));
    append(archive, Bytes(512));
    add("version-13", 0, archive);
    append(archive, Bytes(1024));
    add("version-15", 0, archive);
    add("with-prefix", 1, test::tar_header({.name = "name", .prefix = "far/away"}));
    add("large", 1,
        test::tar_header({.name = "large", .size = std::string("\x80\0\0\0\0\0\0\x03\0\0\0\x05", 12)}));
}

} // namespace

void add_postgres(std::vector<RealInput>& inputs) {
    for (const auto& real : postgres::test::real_control_files) {
        const Byte selector = real.major == 18 ? 3 : 1;
        inputs.push_back({"control_file", fmt::format("version-{}", real.major),
                          selected({selector}, from_base64(real.base64))});
    }
    add_labels(inputs);
    add_manifest(inputs, 13);
    add_manifest(inputs, 18);
    add_paths(inputs);
    add_archives(inputs);
}

} // namespace holdfast
