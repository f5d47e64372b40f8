// What went wrong, as clients are told: problem documents (RFC 9457).
#pragma once

#include "api/http/message.h"
#include "base/error.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast::api {

struct FieldError {
    std::string field; // "retention.daily", or the name of a parameter or a header field
    std::string message;
};

struct Problem {
    int status = 500;
    std::string code = "internal"; // the end of its type: "urn:holdfast:problem:internal"
    std::string detail{};          // what happened, for whom it happened to
    std::string hint{};            // what he can do about it
    std::vector<FieldError> errors{};
    std::optional<double> retry_after_seconds{};
    Headers headers{};
};

// The one place where errors become statuses. What a client did wrong he is told; of what is wrong with the
// server he learns no more than that, so that no path, name or statement gets out.
Problem problem_of(const Error& error);
// The usual problem of a status, where nothing more is known.
Problem problem_of(int status, std::string detail);
Problem invalid_field(std::string field, std::string message);

// The problem document. `instance` is the path that was asked for.
Response problem_response(const Problem& problem, std::string_view instance, std::string_view request_id);

} // namespace holdfast::api
