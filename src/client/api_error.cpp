#include "client/api_error.h"

#include <algorithm>
#include <array>
#include <optional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace holdfast {

namespace {

using Json = nlohmann::json;

constexpr std::string_view type_head = "urn:holdfast:problem:";

struct Mapping {
    std::string_view name;
    ErrorCode code;
};

// The other direction of api/problem.cpp.
constexpr std::array<Mapping, 16> mappings{{
    {"invalid-request", ErrorCode::usage},
    {"not-found", ErrorCode::not_found},
    {"already-exists", ErrorCode::already_exists},
    {"incompatible", ErrorCode::incompatible},
    {"conflict", ErrorCode::fenced},
    {"changed-meanwhile", ErrorCode::fenced},
    {"not-implemented", ErrorCode::unsupported},
    {"storage-refused", ErrorCode::access_denied},
    {"not-authenticated", ErrorCode::access_denied},
    {"not-permitted", ErrorCode::access_denied},
    {"second-factor-required", ErrorCode::access_denied},
    {"wrong-code", ErrorCode::access_denied},
    {"unavailable", ErrorCode::unavailable},
    {"timed-out", ErrorCode::timed_out},
    {"no-space", ErrorCode::no_space},
    {"damaged", ErrorCode::corrupt},
}};

Json document_of(const HttpResponse& response) {
    Json document = Json::parse(as_text(response.body), nullptr, false);
    const auto type = document.is_object() ? document.find("type") : document.end();
    const bool is_ours = document.is_object() && type != document.end() && type->is_string() &&
                         type->get_ref<const std::string&>().starts_with(type_head);
    return is_ours ? document : Json::object();
}

std::string text_of(const Json& document, const char* member) {
    const auto found = document.find(member);
    return found != document.end() && found->is_string() ? found->get<std::string>() : std::string();
}

ErrorCode code_of(const std::string& name, int status) {
    const auto* const mapping = std::ranges::find(mappings, name, &Mapping::name);
    if (mapping != mappings.end()) return mapping->code;
    if (status == 401 || status == 403) return ErrorCode::access_denied;
    if (status == 404) return ErrorCode::not_found;
    if (status == 429 || status >= 500) return ErrorCode::unavailable;
    return ErrorCode::usage;
}

std::string hint_of(const Json& document, int status, const std::string& name) {
    const std::string hint = text_of(document, "hint");
    // That one is for those who write a client.
    if (status == 401)
        return "set HOLDFAST_TOKEN, or name a file that has a token of this server with --token-file";
    if (name == "second-factor-required" || name == "wrong-code")
        return "add --code with what the authenticator shows now, or run this at a terminal; the token "
               "must have been made with a second factor";
    const std::string id = text_of(document, "request_id");
    if (status >= 500 && status != 501 && !id.empty())
        return fmt::format("the server's log says more under the request id {}", id);
    return hint;
}

} // namespace

std::string problem_name(const HttpResponse& response) {
    const std::string type = text_of(document_of(response), "type");
    return type.empty() ? type : type.substr(type_head.size());
}

Error api_error(const HttpResponse& response, const std::string& server, Timestamp now) {
    const Json document = document_of(response);
    const int status = response.status;
    if (document.empty()) {
        return Error(code_of({}, status), fmt::format("{} answers {}, but not as Holdfast", server, status),
                     "name a server that 'holdfast serve' runs, and nothing that stands before it",
                     status >= 500);
    }
    const std::string name = problem_name(response);
    std::string what = text_of(document, "detail");
    if (what.empty()) what = text_of(document, "title");
    const bool later = status == 429 || status == 503 || status == 504;
    Error error(code_of(name, status), fmt::format("{}: {}", server, what), hint_of(document, status, name),
                later);
    const auto errors = document.find("errors");
    if (errors != document.end() && errors->is_array() && !errors->empty() && errors->front().is_object())
        error = error.with_field(text_of(errors->front(), "field"));
    if (const double wait = response.retry_after_seconds(now); later && wait > 0)
        error = error.with_hint(fmt::format("try again in {:.0f} s", wait)).with_retry_after(wait);
    return error;
}

} // namespace holdfast
