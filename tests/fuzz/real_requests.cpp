#include "fuzz/real_inputs.h"

#include <algorithm>

namespace holdfast {

namespace {

std::string get(const std::string& target) { return "GET " + target + " HTTP/1.1\r\nHost: h\r\n\r\n"; }

std::string post(const std::string& target, const std::string& body, const std::string& fields = {}) {
    return "POST " + target + " HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: " +
           std::to_string(body.size()) + "\r\n" + fields + "\r\n" + body;
}

// "/v1/alerts/events" as "alerts-events".
std::string name_of(std::string path) {
    path.resize(std::min(path.find('?'), path.size()));
    std::ranges::replace(path, '/', '-');
    std::ranges::replace(path, ':', '-');
    return "get-" + path;
}

// Of routes that the server adds; the parser of requests learns nothing from them.
void add_server_requests(std::vector<RealInput>& inputs) {
    const auto ask = [&](const std::string& name, const std::string& text) {
        inputs.push_back({"api", name, selected({}, text)});
    };
    ask("silence",
        post("/v1/silences",
             R"({"rule": "*", "subject": "home", "reason": "x", "ends": "2026-11-21T00:00:00Z"})"));
    for (const char* path : {"alerts?state=firing&severity=P1,p2",
                             "alerts/events",
                             "silences",
                             "rules",
                             "channels",
                             "checklists",
                             "checklists/daily?periods=2",
                             "policies",
                             "policies/production",
                             "schedules?runs=2",
                             "configuration",
                             "configuration/changes?horizon=1y&runs=1",
                             "sources",
                             "sources/home",
                             "snapshots?source=home&limit=1",
                             "holds",
                             "retention/forecast?at=2027-01-01T00:00:00Z&horizon=1y",
                             "backup-recovery/documents/backups?status=completed&type=full&limit=1&offset=1",
                             "backup-recovery/documents/statistics",
                             "backup-recovery/monitoring/dashboard",
                             "backup-recovery/recovery/point-in-time/2026-11-20T12:00:00Z",
                             "backup-recovery/retention/lifecycle-stats",
                             "backup-recovery/verification/lifecycle-stats",
                             "forgets/0123456789abcdef0123456789abcdef"})
        ask(name_of(path), get("/v1/" + std::string(path)));
    ask("metrics", get("/metrics"));
    ask("policy", post("/v1/policies", R"({"name": "mine", "sources": ["uploads"], "time_zone": "UTC",
        "backup": [{"name": "n", "cron": "0 2 * * *", "keep": "30d", "class": "full", "tags": {"a": "b"}}],
        "verify": [{"every": "7d", "depth": "5%"}], "objectives": {"rpo": "1d"},
        "retention": {"last": 3, "daily": "30d", "class": {"full": {"last": 1}}}})"));
    ask("restore",
        post("/v1/restores", R"({"source": "orders", "directory": "check", "at": "2026-11-20T11:00:00Z",
        "databases": ["a"], "start": true, "port": 5433, "time_limit_seconds": 60})"));
    ask("retention-run", post("/v1/retention/runs", R"({"source": "home", "dry_run": true})"));
    ask("rule-test", post("/v1/rules/tests", R"({"all": true, "channels": false})"));
    ask("tick", post("/v1/checklists/quarterly/items/contacts/tick", R"({"note": "done"})"));
    ask("apply", post("/v1/configuration/apply", "{}", "If-Match: \"x\"\r\n"));
    ask("hold", post("/v1/snapshots/0123/holds", R"({"reason": "case", "owner": "legal"})"));
}

} // namespace

void add_requests(std::vector<RealInput>& inputs) {
    const auto add = [&](const std::string& name, const std::string& text) {
        inputs.push_back({"http_request", name, selected({7}, text)});
        inputs.push_back({"api", name, selected({}, text)});
    };
    add("health", get("/healthz"));
    add("operations", get("/v1/operations?state=queued,running&limit=10&kind=a%20b"));
    add("events", get("/v1/operations/events"));
    add("cursor", get("/v1/audit?cursor=61756469743a3132&limit=1"));
    add("verify", get("/v1/audit/verify"));
    add("backup", post("/v1/backups", R"({"source": "db"})", "Idempotency-Key: k\r\n"));
    add("token",
        post("/v1/tokens", R"({"name": "a", "roles": ["viewer"], "expires": "2030-01-01T00:00:00Z"})"));
    add("delete", "DELETE /v1/tokens/tk_1 HTTP/1.1\r\nHost: h\r\n\r\n");
    add("absolute", get("https://host:1/v1/tokens/%C3%A4"));
    add("options", "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n");
    add("pipelined", get("/a") + get("/b"));
    add("chunked", "POST /v1/prunes HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n"
                   "Transfer-Encoding: chunked\r\n\r\n1;x=y\r\n{\r\n1\r\n}\r\n0\r\nA: b\r\n\r\n");
    add("two-lengths", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"
                       "0\r\n\r\n");
    add("old", "GET / HTTP/1.0\r\n\r\n");
    add_server_requests(inputs);
    add("continue",
        "POST /v1/backups HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n{}");
}

} // namespace holdfast
