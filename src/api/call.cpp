#include "api/call.h"

#include "base/json_text.h"
#include "base/sha256.h"

#include <algorithm>
#include <array>
#include <charconv>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace holdfast::api {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t most_items = 1000;
constexpr std::size_t usual_items = 100;

Error refusal(std::string_view field, std::string_view why) {
    return Error(ErrorCode::usage, fmt::format("{}: {}", field, why)).with_field(std::string(field));
}

std::string text_of(const Response& response) {
    Json headers = Json::array();
    for (const auto& [name, value] : response.headers.all()) headers.push_back({name, value});
    return json_text(Json{{"status", response.status},
                          {"content_type", response.content_type},
                          {"headers", std::move(headers)},
                          {"body", response.body}});
}

Response response_of(const std::string& text) {
    const Json kept = Json::parse(text);
    Response response{.status = kept.at("status").get<int>(),
                      .content_type = kept.at("content_type").get<std::string>(),
                      .body = kept.at("body").get<std::string>()};
    for (const Json& field : kept.at("headers"))
        response.headers.add(field.at(0).get<std::string>(), field.at(1).get<std::string>());
    response.headers.set("Idempotency-Replayed", "true");
    return response;
}

Response key_used() {
    Problem problem = problem_of(422, "another request was sent under this Idempotency-Key");
    problem.hint = "choose another key for another request";
    problem.errors.push_back({"Idempotency-Key", "belongs to another request"});
    return problem_response(problem, {}, {});
}

} // namespace

Response json_response(int status, std::string body) {
    return {.status = status, .content_type = "application/json", .body = std::move(body)};
}

std::string etag_of(std::string_view text) {
    return fmt::format("\"{}\"", sha256_hex(as_bytes(text)).substr(0, 32));
}

std::int64_t Page::after_number() const {
    if (after.empty()) return 0;
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(after.data(), after.data() + after.size(), value);
    if (error != std::errc() || end != after.data() + after.size() || value < 0 || value == INT64_MAX)
        throw refusal("cursor", "is none that this server gave");
    return value;
}

Form Call::form() const {
    return Form::parse(request_.body.empty() ? std::string_view("{}") : std::string_view(request_.body), "");
}

std::optional<std::uint64_t> Call::number(std::string_view name, std::uint64_t least,
                                          std::uint64_t most) const {
    const auto text = request_.parameter(name);
    if (!text) return std::nullopt;
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
    if (error != std::errc() || end != text->data() + text->size() || value < least || value > most)
        throw refusal(name, fmt::format("must be a whole number from {} to {}", least, most));
    return value;
}

void Call::expect_parameters(std::initializer_list<std::string_view> names) const {
    for (const auto& [name, value] : request_.query) {
        if (std::ranges::find(names, name) == names.end()) throw refusal(name, "is no parameter of this");
        if (std::ranges::count_if(request_.query, [&](const auto& other) { return other.first == name; }) > 1)
            throw refusal(name, "is there twice");
    }
}

Page Call::page(std::string_view list) const {
    Page page{.after = {}, .limit = number("limit", 1, most_items).value_or(usual_items)};
    const auto text = request_.parameter("cursor");
    if (!text) return page;
    const std::string head = fmt::format("{}:", list);
    std::string plain;
    try {
        const Bytes bytes = from_hex(*text);
        plain = std::string(as_text(bytes));
    } catch (const Error&) {
        throw refusal("cursor", "is none that this server gave");
    }
    if (!plain.starts_with(head) || plain.size() > 200)
        throw refusal("cursor", "is none that this server gave for this list");
    page.after = plain.substr(head.size());
    return page;
}

std::string Call::cursor(std::string_view list, std::string_view after) {
    return to_hex(as_bytes(fmt::format("{}:{}", list, after)));
}

std::optional<AnswerKey> Call::answer_key() const {
    const auto key = request_.headers.find("Idempotency-Key");
    if (!key || is_approved()) return std::nullopt;
    const bool clean = !key->empty() && key->size() <= 255 &&
                       std::ranges::all_of(*key, [](char letter) { return letter > 0x20 && letter < 0x7F; });
    if (!clean || request_.headers.count("Idempotency-Key") != 1)
        throw refusal("Idempotency-Key", "must be one text of 1 to 255 visible ASCII characters");
    ByteWriter all;
    all.sized(request_.method);
    all.sized(request_.path);
    for (const auto& [name, value] : request_.query) {
        all.sized(name);
        all.sized(value);
    }
    all.sized(request_.body);
    return AnswerKey{.token = identity_.token.id,
                     .secret = identity_.secret,
                     .key = std::string(*key),
                     .request = sha256_hex(all.bytes())};
}

std::optional<Response> Call::kept_answer() {
    const auto key = answer_key();
    if (!key) return std::nullopt;
    const KeptAnswer kept = services_.answers.find(*key);
    switch (kept.state) {
    case AnswerState::none:
        return std::nullopt;
    case AnswerState::different:
        return key_used();
    case AnswerState::kept:
        return response_of(kept.answer);
    }
    return std::nullopt;
}

Response Call::change(const std::function<Response(Database&)>& body) {
    const auto key = answer_key();
    Response response;
    services_.catalog.transaction([&](Database& database) {
        before_(database);
        if (!key) {
            response = body(database);
            after_(database, response);
            return;
        }
        const KeptAnswer kept = services_.answers.begin(database, *key);
        switch (kept.state) {
        case AnswerState::different:
            response = key_used();
            return;
        case AnswerState::kept:
            response = response_of(kept.answer);
            return;
        case AnswerState::none:
            break;
        }
        response = body(database);
        after_(database, response);
        services_.answers.finish(database, *key, text_of(response));
    });
    return response;
}

void Call::audit(Database& database, const std::string& action, const std::string& object,
                 const std::string& details) {
    services_.audit.append(database, actor(), action, object, details);
}

void Call::enter(const std::string& action, const std::string& object, const std::string& details) {
    services_.catalog.transaction([&](Database& database) {
        before_(database);
        audit(database, action, object, details);
    });
}

void Call::enter_failure(const std::string& action, const std::string& object, const Error& error) {
    const Json details = {{"code", to_string(error.code())}, {"message", error.message()}};
    services_.audit.append(actor(), action + ".failed", object, json_text(details));
}

void Call::require_demanded(std::string_view judged_by) const {
    if (judged_by_ == judged_by) return;
    throw Error(ErrorCode::fenced, "what this would change was changed meanwhile, and more may be lost",
                "look at what there is now, and decide anew");
}

std::optional<Problem> Call::unless_seen(std::string_view etag) const {
    if (request_.headers.find("If-Match") != "*") return unless_match(etag);
    Problem problem = problem_of(428, "If-Match must name the version that was seen");
    problem.hint = "send its ETag";
    return problem;
}

std::optional<Problem> Call::unless_match(std::string_view etag) const {
    auto given = request_.headers.find("If-Match");
    if (!given) {
        Problem problem = problem_of(428, "this is changed only with the field If-Match");
        problem.hint = "send the ETag of the version that you have seen";
        return problem;
    }
    if (*given == "*") return std::nullopt;
    for (std::string_view rest = *given; !rest.empty();) {
        const std::size_t comma = std::min(rest.find(','), rest.size());
        std::string_view tag = rest.substr(0, comma);
        rest.remove_prefix(std::min(comma + 1, rest.size()));
        while (tag.starts_with(' ')) tag.remove_prefix(1);
        while (tag.ends_with(' ')) tag.remove_suffix(1);
        if (tag == etag) return std::nullopt;
    }
    Problem problem = problem_of(412, "it has been changed since you have seen it");
    problem.hint = "get it again, and decide anew";
    return problem;
}

} // namespace holdfast::api
