#include "fuzz/real_inputs.h"

namespace holdfast {

void add_requests(std::vector<RealInput>& inputs) {
    const auto add = [&](const std::string& name, const std::string& text) {
        inputs.push_back({"http_request", name, selected({7}, text)});
        inputs.push_back({"api", name, selected({}, text)});
    };
    const auto get = [](const std::string& target) {
        return "GET " + target + " HTTP/1.1\r\nHost: h\r\n\r\n";
    };
    const auto post = [](const std::string& target, const std::string& body, const std::string& fields = {}) {
        return "POST " + target +
               " HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: " +
               std::to_string(body.size()) + "\r\n" + fields + "\r\n" + body;
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
    add("continue",
        "POST /v1/backups HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n{}");
}

} // namespace holdfast
