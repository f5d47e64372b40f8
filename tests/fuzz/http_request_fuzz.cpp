// Bytes of a connection: the same requests come out of them, or the same refusal, however they are cut; and
// what comes out is clean. The first byte says how they are cut.
#include "api/http/request_parser.h"
#include "api/http/target.h"
#include "base/bytes.h"

#include <algorithm>
#include <cstdlib>

namespace {

using namespace holdfast;
using api::RequestParser;

struct Outcome {
    std::vector<api::Request> requests;
    int status = 0;
};

constexpr api::RequestLimits limits{.header_bytes = 2000, .target_bytes = 300, .body_bytes = 1000};

Outcome read_all(std::string_view text, std::size_t piece) {
    Outcome outcome;
    RequestParser parser(limits);
    std::string waiting;
    while (!text.empty() || !waiting.empty()) {
        const std::size_t before = waiting.size() + text.size();
        waiting += text.substr(0, piece);
        text.remove_prefix(std::min(piece, text.size()));
        waiting.erase(0, parser.feed(waiting));
        if (parser.state() == RequestParser::State::refused) {
            outcome.status = parser.status();
            return outcome;
        }
        if (parser.state() == RequestParser::State::done) {
            outcome.requests.push_back(parser.take("peer"));
            parser = RequestParser(limits);
        } else if (text.empty() && waiting.size() + text.size() == before) {
            return outcome;
        }
    }
    return outcome;
}

bool equal(const api::Request& a, const api::Request& b) {
    return a.method == b.method && a.path == b.path && a.segments == b.segments && a.query == b.query &&
           a.headers.all() == b.headers.all() && a.body == b.body;
}

void check(const api::Request& request) {
    if (request.body.size() > limits.body_bytes || request.path.size() > limits.target_bytes) std::abort();
    if (request.headers.count("Host") > 1) std::abort();
    if (request.headers.count("Content-Length") > 0 && request.headers.count("Transfer-Encoding") > 0)
        std::abort();
    std::string again;
    for (const std::string& segment : request.segments) {
        if (segment.empty() || segment == "." || segment == ".." || !api::is_clean_utf8(segment) ||
            segment.find('/') != std::string::npos)
            std::abort();
        again += "/" + api::percent_encode(segment);
    }
    // Written again, the target says the same.
    if (request.path != "*") {
        again += again.empty() ? "/?" : "?";
        for (const auto& [name, value] : request.query) {
            if (!api::is_clean_utf8(name) || !api::is_clean_utf8(value)) std::abort();
            again += api::percent_encode(name) + "=" + api::percent_encode(value) + "&";
        }
        const auto target = api::parse_target(again);
        if (!target || target->segments != request.segments || target->query != request.query) std::abort();
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::string_view text = as_text({data + 1, size - 1});
    const Outcome whole = read_all(text, std::max<std::size_t>(text.size(), 1));
    const Outcome cut = read_all(text, 1 + data[0] % 64);
    // Of what has no end yet the one may see sooner than the other that it will be refused.
    if (whole.requests.size() != cut.requests.size() || (whole.status == 0 && cut.status != 0)) std::abort();
    for (std::size_t i = 0; i < whole.requests.size(); ++i) {
        if (!equal(whole.requests[i], cut.requests[i])) std::abort();
        check(whole.requests[i]);
    }
    return 0;
}
