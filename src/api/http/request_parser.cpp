#include "api/http/request_parser.h"

#include "api/http/target.h"

#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

namespace holdfast::api {

namespace http = boost::beast::http;

namespace {

std::string_view view(boost::beast::string_view text) { return {text.data(), text.size()}; }

// The status for what the parser of Beast refuses.
int status_for(const boost::system::error_code& error) {
    if (error == http::error::body_limit) return 413;
    if (error == http::error::header_limit || error == http::error::buffer_overflow) return 431;
    if (error == http::error::bad_version) return 505;
    return 400;
}

} // namespace

struct RequestParser::Inside {
    explicit Inside(const RequestLimits& of) : limits(of) {
        parser.header_limit(static_cast<std::uint32_t>(limits.header_bytes));
        parser.body_limit(limits.body_bytes);
    }

    void refuse(int with, std::string why) {
        state = State::refused;
        status = with;
        reason = std::move(why);
    }

    // What a header must be beyond what Beast looks at.
    void check_header() {
        const auto& message = parser.get();
        if (message.target().size() > limits.target_bytes)
            return refuse(414, "the target of the request is too long");
        if (message.version() != 10 && message.version() != 11)
            return refuse(505, "this is neither HTTP/1.1 nor HTTP/1.0");
        const auto codings = message.count(http::field::transfer_encoding);
        if (codings > 0 && message.version() == 10) return refuse(400, "HTTP/1.0 has no transfer codings");
        if (codings > 1 ||
            (codings == 1 && !equal_without_case(view(message[http::field::transfer_encoding]), "chunked")))
            return refuse(501, "a transfer coding other than chunked");
        if (message.count(http::field::content_length) > 1)
            return refuse(400, "the length of the body is told twice");
        const auto hosts = message.count(http::field::host);
        if (hosts > 1 || (hosts == 0 && message.version() == 11))
            return refuse(400, hosts == 0 ? "the field Host is missing" : "the field Host is there twice");
        if (message.count(http::field::expect) > 0) {
            if (!equal_without_case(view(message[http::field::expect]), "100-continue"))
                return refuse(417, "an expectation other than 100-continue");
            expects_continue = message.version() == 11;
        }
        auto read = parse_target(view(message.target()));
        if (!read) return refuse(400, read.error());
        target = std::move(*read);
        keep_alive = message.keep_alive();
        // Now, and not at the end: what comes behind a chunked body must not pass for a field of the header.
        for (const auto& field : message)
            headers.add(std::string(view(field.name_string())), std::string(view(field.value())));
        if (target.authority) headers.set("Host", *target.authority);
    }

    RequestLimits limits;
    http::request_parser<http::string_body> parser;
    State state = State::header;
    int status = 0;
    std::string reason;
    bool line_is_read = false, expects_continue = false, keep_alive = false;
    Target target;
    Headers headers;
};

RequestParser::RequestParser(const RequestLimits& limits) : inside_(std::make_unique<Inside>(limits)) {}
RequestParser::~RequestParser() = default;
RequestParser::RequestParser(RequestParser&&) noexcept = default;
RequestParser& RequestParser::operator=(RequestParser&&) noexcept = default;

std::size_t RequestParser::feed(std::string_view input) {
    Inside& in = *inside_;
    std::size_t taken = 0;
    while (in.state == State::header || in.state == State::body) {
        const std::string_view rest = input.substr(taken);
        if (rest.empty() && in.state == State::header) break;
        boost::system::error_code error;
        // First the header alone, so that it is looked at before any of the body is.
        in.parser.eager(in.state == State::body);
        const std::size_t used = in.parser.put(boost::asio::buffer(rest.data(), rest.size()), error);
        taken += used;
        in.line_is_read = in.line_is_read || used > 0;
        if (error == http::error::need_more) {
            if (used == 0 || taken == input.size()) break;
            continue;
        }
        if (error) {
            const bool in_line =
                in.state == State::header && !in.line_is_read && rest.find('\n') == std::string_view::npos;
            const int status = status_for(error);
            in.refuse(status == 431 && in_line ? 414 : status, error.message());
            break;
        }
        if (in.state == State::header && in.parser.is_header_done()) {
            in.state = State::body;
            in.check_header();
            if (in.state == State::refused) break;
        }
        if (in.parser.is_done()) {
            in.state = State::done;
            break;
        }
        if (used == 0) break;
    }
    return taken;
}

RequestParser::State RequestParser::state() const { return inside_->state; }
int RequestParser::status() const { return inside_->status; }
const std::string& RequestParser::reason() const { return inside_->reason; }
bool RequestParser::expects_continue() const { return inside_->expects_continue; }
bool RequestParser::keep_alive() const { return inside_->keep_alive; }

Request RequestParser::take(std::string peer) {
    auto& message = inside_->parser.get();
    Request request;
    request.method = std::string(view(message.method_string()));
    request.path = std::move(inside_->target.path);
    request.segments = std::move(inside_->target.segments);
    request.query = std::move(inside_->target.query);
    request.headers = std::move(inside_->headers);
    request.body = std::move(message.body());
    request.peer = std::move(peer);
    return request;
}

} // namespace holdfast::api
