// An error that a PostgreSQL server reports, with its SQLSTATE.
//
// Codes: PostgreSQL's documentation, appendix "PostgreSQL Error Codes".
#pragma once

#include "base/error.h"

#include <string>
#include <string_view>

namespace holdfast::postgres {

// What a server says of a failure.
struct ServerMessage {
    std::string sqlstate; // five characters; empty when the connection failed before the server said one
    std::string text;
    std::string detail;
    std::string hint;
    std::string function{}; // of PostgreSQL's source that reported it: the same in every language
};

class ServerError final : public Error {
  public:
    // The message reads "`what`: text (detail; SQLSTATE xxxxx)"; code, hint and retryable follow from the
    // SQLSTATE.
    ServerError(std::string_view what, const ServerMessage& said);

    // Empty when the connection was lost, or was refused before the server spoke.
    const std::string& sqlstate() const noexcept { return sqlstate_; }

  private:
    std::string sqlstate_;
};

// The text of libpq for a connection that failed, asked for with verbose errors: code and message are taken
// apart, and where in PostgreSQL's source it happened is left out.
ServerMessage parse_connection_failure(std::string_view text);

// Sorts a SQLSTATE. An empty one is a connection that was lost: unavailable, retryable.
struct SqlstateMeaning {
    ErrorCode code;
    bool retryable;
};
SqlstateMeaning meaning_of_sqlstate(std::string_view sqlstate);

} // namespace holdfast::postgres
