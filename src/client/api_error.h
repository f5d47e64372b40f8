// What a server answers when it cannot do what was asked, as an error of ours.
#pragma once

#include "base/error.h"
#include "store/http_client.h"

#include <string>

namespace holdfast {

// The end of the problem's type: "second-factor-required" of "urn:holdfast:problem:second-factor-required";
// empty when the answer is no problem document.
std::string problem_name(const HttpResponse& response);

// The error that `response`, whose status is 400 or more, tells of; `server` is its URL. Says what, where and
// what to do, also when it is not a server of ours that answers.
Error api_error(const HttpResponse& response, const std::string& server, Timestamp now);

} // namespace holdfast
