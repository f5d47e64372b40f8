// Asserting that something throws an Error, and of which kind.
#pragma once

#include "base/error.h"

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace holdfast::test {

// The Error that `body` throws; a test failure and nothing when it throws none.
inline std::optional<Error> error_of(const std::function<void()>& body) {
    try {
        body();
    } catch (const Error& error) {
        return error;
    }
    ADD_FAILURE() << "no Error was thrown";
    return std::nullopt;
}

// The code of the Error that `body` throws, as its name, so that a failing comparison reads well.
inline std::string code_of(const std::function<void()>& body) {
    const std::optional<Error> error = error_of(body);
    return error ? std::string(to_string(error->code())) : "no error";
}

// Fails the test unless `body` throws an Error of `code` whose message holds `text`.
inline void expect_error(ErrorCode code, const std::function<void()>& body, std::string_view text = {}) {
    const std::optional<Error> error = error_of(body);
    if (!error) return;
    EXPECT_EQ(to_string(error->code()), to_string(code)) << error->message();
    EXPECT_NE(error->message().find(text), std::string::npos) << error->message();
}

} // namespace holdfast::test
