#include "service/describe_cluster.h"

#include "repository/json_form.h"

#include <fmt/format.h>

namespace holdfast {

using namespace postgres;

Bytes describe_cluster(const PostgresBackupResult& result, const BackupLabel& label) {
    const ClusterFacts& facts = result.facts;
    JsonWriter out;
    out.text("system_identifier", fmt::format("{}", facts.system_identifier));
    out.text("version", facts.version_text);
    out.number("catalog_version", result.capture.control.catalog_version);
    out.number("timeline", result.log.timeline);
    out.text("start_lsn", result.log.begin.str());
    out.text("stop_lsn", result.log.end.str());
    out.text("checkpoint_lsn", label.checkpoint.str());
    out.boolean("from_standby", label.from_standby());
    out.number("block_bytes", facts.block_bytes);
    out.number("wal_segment_bytes", facts.wal_segment_bytes);
    out.boolean("checksums", facts.checksums);
    out.text("data_directory", facts.data_directory.value_or(""));
    std::vector<JsonWriter> tablespaces, databases, bad;
    for (const TablespaceFacts& tablespace : facts.tablespaces) {
        tablespaces.emplace_back();
        tablespaces.back()
            .number("oid", tablespace.oid)
            .text("name", tablespace.name)
            .text("location", tablespace.location);
    }
    for (const DatabaseFacts& database : facts.databases) {
        databases.emplace_back();
        databases.back().number("oid", database.oid).text("name", database.name);
    }
    for (const BadPage& page : result.capture.pages.bad) {
        bad.emplace_back();
        bad.back().text("path", page.path).number("block", page.block).text("why", page.why);
    }
    out.objects("tablespaces", tablespaces).objects("databases", databases).objects("bad_pages", bad);
    return out.finish();
}

} // namespace holdfast
