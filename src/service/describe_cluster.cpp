#include "service/describe_cluster.h"

#include "base/bytes.h"
#include "documents/entry_name.h"
#include "repository/json_form.h"
#include "repository/protocol/text_form.h"

#include <fmt/format.h>

namespace holdfast {

using namespace postgres;

namespace {

// Names of databases and paths are bytes, in whatever encoding they were made.
void put_name(JsonWriter& out, const std::string& key, const std::string& bytes) {
    if (is_utf8(bytes)) {
        out.text(key, bytes);
    } else {
        out.text(key, printable(bytes)).hex(key + "_hex", as_bytes(bytes));
    }
}

} // namespace

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
    put_name(out, "data_directory", facts.data_directory.value_or(""));
    std::vector<JsonWriter> tablespaces, databases, bad;
    for (const TablespaceFacts& tablespace : facts.tablespaces) {
        tablespaces.emplace_back();
        tablespaces.back().number("oid", tablespace.oid);
        put_name(tablespaces.back(), "name", tablespace.name);
        put_name(tablespaces.back(), "location", tablespace.location);
    }
    for (const DatabaseFacts& database : facts.databases) {
        databases.emplace_back();
        databases.back().number("oid", database.oid);
        put_name(databases.back(), "name", database.name);
    }
    for (const BadPage& page : result.capture.pages.bad) {
        bad.emplace_back();
        bad.back().text("path", page.path).number("block", page.block).text("why", page.why);
    }
    out.objects("tablespaces", tablespaces).objects("databases", databases).objects("bad_pages", bad);
    return out.finish();
}

} // namespace holdfast
