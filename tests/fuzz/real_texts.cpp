#include "fuzz/real_inputs.h"
#include "repository/ids.h"
#include "repository/protocol/text_form.h"
#include "store/s3_xml.h"

namespace holdfast {

namespace {

void add_names(std::vector<RealInput>& inputs) {
    const RunId id{};
    const PackId pack{id, 70000, log_pack, 3};
    const std::string names[] = {
        std::string(config_name), slot_name(id),         grant_name(id, 1),
        revocation_name(id),      pack.name(),           index_segment_name({}, id, 2),
        intent_name(id, 12),      commit_name(id),       checkpoint_name(id, 3),
        forget_name(id),          statement_name(id, 4), condemned_name(id),
        verdict_name(id),         moved_name(pack),      "probe/0123"};
    for (const std::string& name : names) {
        inputs.push_back({"name", name.substr(0, name.find('/')), selected({}, name)});
    }
}

void add_store_settings(std::vector<RealInput>& inputs) {
    const auto add = [&](const std::string& name, Byte selector, std::string_view text) {
        inputs.push_back({"s3_settings", name, selected({selector}, text)});
    };
    add("url", 0, "s3://bucket/some/prefix");
    add("url-with-everything", 0,
        "s3://bucket/a?endpoint=https%3A%2F%2Fstore.example%3A9000&region=eu-1&style=path"
        "&ca_file=%2Fetc%2Fca.pem&profile=work");
    add("profiles", 1,
        "# ours\n[default]\naws_access_key_id = A\naws_secret_access_key=B\n\n[profile work]\n"
        "region = eu-1\ns3 =\n  addressing_style = path\n");
    add("file-url", 2, "file:///srv/back%20up");
}

void add_answers(std::vector<RealInput>& inputs) {
    const auto add = [&](const std::string& name, Byte selector, std::string_view text) {
        inputs.push_back({"s3_xml", name, selected({selector}, text)});
    };
    const std::string common =
        "<Key>packs%2Fd00%2Fa</Key><LastModified>2026-01-02T03:04:05.678Z</LastModified>"
        "<ETag>&quot;abc&quot;</ETag><Size>42</Size>";
    add("objects", 0,
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult "
        "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><EncodingType>url</EncodingType>"
        "<IsTruncated>true</IsTruncated><Contents>" +
            common +
            "<StorageClass>GLACIER</StorageClass></Contents><NextContinuationToken>to ken"
            "</NextContinuationToken></ListBucketResult>");
    add("objects-none", 0, "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>");
    add("versions", 1,
        "<ListVersionsResult><IsTruncated>true</IsTruncated><NextKeyMarker>b</NextKeyMarker>"
        "<NextVersionIdMarker>v9</NextVersionIdMarker><DeleteMarker><Key>a</Key><VersionId>v2</VersionId>"
        "<IsLatest>true</IsLatest><LastModified>2026-01-02T03:04:05Z</LastModified></DeleteMarker><Version>" +
            common + "<VersionId>v1</VersionId><IsLatest>false</IsLatest></Version></ListVersionsResult>");
    add("upload", 2, "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>");
    add("retention", 3, render_retention({RetentionMode::compliance, from_rfc3339("2030-01-01T00:00:00Z")}));
    add("error", 4, "<Error><Code>NoSuchKey</Code><Message>no &lt;key&gt;</Message></Error>");

    const auto add_error = [&](const std::string& name, int status, std::string_view rest) {
        const int coded = status - 100;
        inputs.push_back(
            {"s3_error", name, selected({static_cast<Byte>(coded), static_cast<Byte>(coded >> 8)}, rest)});
    };
    add_error("throttled", 503, "\n120\n\nid\n<Error><Code>SlowDown</Code><Message>later</Message></Error>");
    add_error("throttled-until-a-date", 429, "\nSun, 22 Nov 2026 08:49:37 GMT\n\n\nbusy");
    add_error("skewed-clock", 403,
              "Sun, 06 Nov 1994 08:49:37 GMT\n\n\n\n<Error><Code>RequestTimeTooSkewed</Code>"
              "<Message>no</Message></Error>");
    add_error("redirect", 301, "\n\neu-1\n\n<Error><Code>PermanentRedirect</Code></Error>");
    add_error("proxy", 502, "\n\n\n\n<html><body>Bad Gateway</body></html>");
}

void add_small(std::vector<RealInput>& inputs) {
    const auto add = [&](const std::string& name, Byte selector, std::string_view text) {
        inputs.push_back({"text", name, selected({selector}, text)});
    };
    add("time", 0, "2026-11-20T23:54:21.123456789Z");
    add("time-with-offset", 0, "1999-12-31t23:59:60+02:30");
    add("retry-after", 1, "120");
    add("http-date", 1, "Sun, 06 Nov 1994 08:49:37 GMT");
    add("hexadecimal", 2, "00ffAb");
    add("base64", 3, "aGVsZA==");
    add("text-form", 4, "B\xc3\xbcro");
    add("text-form-of-bytes", 4, to_text_form("\xff\xfe"));
    add("printable", 5, "a\\b\x01\xff");
    add("entry-name", 6, "a file");
}

void add_files(std::vector<RealInput>& inputs) {
    using namespace std::string_view_literals;
    const auto add = [&](const std::string& target, const std::string& name, std::string_view text) {
        inputs.push_back({target, name, selected({}, text)});
    };
    add("configuration", "empty", "");
    add("configuration", "repository", "repository = \"/srv/backup\"\nlimit_upload = \"1.5M\"\n");
    add("configuration", "everything",
        "repository = 's3://bucket/a'\nkey_file = \"k\"\nprivate_key = \"p\"\npassphrase_file = \"f\"\n"
        "cache_directory = \"c\"\nlimit_upload = \"20MiB\"\nlimit_download = \"1G\"\n[s3]\nendpoint = \"e\"\n"
        "region = \"r\"\nprofile = \"p\"\nca_file = \"c\"\naccess_key = \"a\"\nsecret_key_file = \"s\"\n"
        "[backup]\nsource = \"home\"\npaths = [\"/home\", \"/srv\"]\nexclude = ['*.o']\ninclude = []\n"
        "tags = {color = \"red\"}\none_file_system = true\nexclude_caches = false\nlock_days = 30\n"
        "lock_mode = \"compliance\"\n");
    add("configuration", "policy",
        "[policy.p]\nsources = \"*\"\n[[policy.p.backup]]\nevery = \"6h\"\n[policy.p.retention]\nlast = 1\n");
    add("policy", "whole",
        R"({"sources": ["orders", "b*"], "time_zone": "Europe/Berlin", "maintenance": ["sun 04:00-05:00"],
"objectives": {"rpo": "5min", "rto": "1h", "backup_age": "26h", "window": "30d", "smallest_bytes": 1000},
"backup": [{"name": "nightly", "window": "02:00-03:00", "type": "full", "class": "full", "time_limit": "30min",
"tags": {"a": "b"}}, {"name": "often", "every": "15min", "jitter": "1min", "keep": "24h", "catch_up": false},
{"name": "first", "cron": "5/20 3 1-7,L jan mon#1,friL"}], "verify": {"cron": "@weekly", "depth": "5%"},
"retention": {"last": 3, "within": "2d", "hourly": 24, "daily": "30d", "weekly": "12w", "monthly": "12mo",
"yearly": "7y", "window": "35d", "class": {"incremental": {"within": "7d"}}}})");
    add("policy", "least", R"({"sources": "*"})");
    add("path_filter", "names", "*.o\n.cache/\n# not this\n!keep.o\n\0src/keep.o"sv);
    add("path_filter", "anchored", "/source/root/a/**\n!/source/root/a/b/[a-z]?\\*\n\0a/b/xy*"sv);
    add("path_filter", "any-depth", "**/tmp/**/x\n[!a]*\r\n\\#a\n\0b/tmp/c/d/x"sv);
}

} // namespace

void add_texts(std::vector<RealInput>& inputs) {
    add_names(inputs);
    add_store_settings(inputs);
    add_answers(inputs);
    add_small(inputs);
    add_files(inputs);
}

} // namespace holdfast
