#include "api/problem.h"

#include "base/json_text.h"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace holdfast::api {

namespace {

struct Mapping {
    ErrorCode code;
    int status;
    std::string_view name;
};

constexpr std::array<Mapping, 16> mappings{{
    {ErrorCode::usage, 400, "invalid-request"},
    {ErrorCode::not_found, 404, "not-found"},
    {ErrorCode::already_exists, 409, "already-exists"},
    {ErrorCode::incompatible, 409, "incompatible"},
    {ErrorCode::fenced, 409, "conflict"},
    {ErrorCode::unsupported, 501, "not-implemented"},
    // From here on it is about what stands behind the server, not about who asks it.
    {ErrorCode::access_denied, 502, "storage-refused"},
    {ErrorCode::wrong_key, 502, "storage-refused"},
    {ErrorCode::read_only, 502, "storage-refused"},
    {ErrorCode::unavailable, 503, "unavailable"},
    {ErrorCode::cancelled, 503, "unavailable"},
    {ErrorCode::timed_out, 504, "timed-out"},
    {ErrorCode::no_space, 507, "no-space"},
    {ErrorCode::corrupt, 500, "damaged"},
    {ErrorCode::io, 500, "internal"},
    {ErrorCode::internal, 500, "internal"},
}};

constexpr std::array<std::pair<int, std::string_view>, 22> usual_codes{{
    {400, "invalid-request"},    {401, "not-authenticated"},  {403, "not-permitted"},
    {404, "not-found"},          {405, "method-not-allowed"}, {406, "not-acceptable"},
    {408, "too-slow"},           {409, "conflict"},           {412, "changed-meanwhile"},
    {413, "body-too-large"},     {414, "target-too-long"},    {415, "unsupported-media-type"},
    {417, "expectation-failed"}, {422, "key-used-before"},    {428, "precondition-required"},
    {429, "too-many-requests"},  {431, "header-too-large"},   {500, "internal"},
    {501, "not-implemented"},    {503, "unavailable"},        {504, "timed-out"},
    {505, "http-version"},
}};

std::string_view general_detail(int status) {
    switch (status) {
    case 502:
        return "what the server stands on refuses to work";
    case 503:
        return "something that the server needs does not answer";
    case 504:
        return "something that the server needs answers too late";
    case 507:
        return "the server has no space left";
    default:
        return "the server could not do it";
    }
}

} // namespace

Problem problem_of(const Error& error) {
    const auto* const mapping = std::ranges::find(mappings, error.code(), &Mapping::code);
    Problem problem{.status = mapping == mappings.end() ? 500 : mapping->status,
                    .code = std::string(mapping == mappings.end() ? "internal" : mapping->name)};
    if (problem.status < 500 || problem.status == 501) {
        problem.detail = error.message();
        problem.hint = error.hint();
        if (!error.field().empty()) problem.errors.push_back({error.field(), error.message()});
    } else {
        problem.detail = std::string(general_detail(problem.status));
        problem.hint = "its log says more under this request_id";
    }
    if (error.retry_after_seconds() > 0) {
        problem.retry_after_seconds = error.retry_after_seconds();
    } else if (problem.status == 503) {
        problem.retry_after_seconds = 5;
    }
    return problem;
}

Problem problem_of(int status, std::string detail) {
    const auto* const usual =
        std::ranges::find(usual_codes, status, &std::pair<int, std::string_view>::first);
    Problem problem{.status = status,
                    .code = std::string(usual == usual_codes.end() ? "other" : usual->second),
                    .detail = std::move(detail)};
    if (status == 503) problem.retry_after_seconds = 1;
    return problem;
}

Problem invalid_field(std::string field, std::string message) {
    Problem problem = problem_of(400, fmt::format("{}: {}", field, message));
    problem.errors.push_back({std::move(field), std::move(message)});
    return problem;
}

Response problem_response(const Problem& problem, std::string_view instance, std::string_view request_id) {
    nlohmann::ordered_json document{{"type", "urn:holdfast:problem:" + problem.code},
                                    {"title", reason_of(problem.status)},
                                    {"status", problem.status}};
    if (!problem.detail.empty()) document["detail"] = problem.detail;
    if (!problem.hint.empty()) document["hint"] = problem.hint;
    if (!instance.empty()) document["instance"] = instance;
    if (!request_id.empty()) document["request_id"] = request_id;
    for (const FieldError& error : problem.errors)
        document["errors"].push_back({{"field", error.field}, {"message", error.message}});
    Response response{.status = problem.status,
                      .content_type = "application/problem+json",
                      .body = json_text(document),
                      .headers = problem.headers};
    if (problem.retry_after_seconds) {
        response.headers.set(
            "Retry-After",
            fmt::format("{}", std::max(1L, std::lround(std::ceil(*problem.retry_after_seconds)))));
    }
    return response;
}

} // namespace holdfast::api
