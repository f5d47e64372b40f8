// The one error type of Holdfast.
//
// An Error says what happened to which object, whether trying again can help, and what the user can do about
// it. Ordinary outcomes (not found, already there) are return values, never errors. Errors are caught in
// three kinds of place only: the retry decorator of a store, the edge of a thread, the edge of an operation.
#pragma once

#include <exception>
#include <string>
#include <string_view>
#include <utility>

namespace holdfast {

enum class ErrorCode {
    usage,          // the caller asked for something that makes no sense; exit code 2
    not_found,      // something that must exist does not
    already_exists, // something that must not exist does
    access_denied,  // credentials or permissions do not allow it
    wrong_key,      // no key slot opens, or a key lacks the purpose that is needed
    corrupt,        // bytes are not what their author wrote
    incompatible,   // written by a newer version, or an unknown suite or feature
    unavailable,    // the other side does not answer, or says "later"
    timed_out,      // a deadline passed
    cancelled,      // the user or a failing neighbour stopped it
    no_space,       // a disk or a quota is full
    read_only,      // the target refuses writes
    unsupported,    // the store cannot do it
    fenced,         // garbage collection stopped waiting for this writer
    io,             // the operating system reports a failure
    internal,       // a defect in Holdfast
};

// The name of `code` as it appears in JSON output, for example "not_found".
std::string_view to_string(ErrorCode code);

class Error : public std::exception {
  public:
    // `message` says what happened to which object, without a full stop; `hint` says what the user can do
    // (may be empty). `retryable` tells whether the same call may succeed later.
    Error(ErrorCode code, std::string message, std::string hint = {}, bool retryable = false);

    ErrorCode code() const noexcept { return code_; }
    const std::string& message() const noexcept { return message_; }
    const std::string& hint() const noexcept { return hint_; }
    bool retryable() const noexcept { return retryable_; }
    // Which member of what the caller gave is at fault, as "policy.production.daily"; empty when none is.
    const std::string& field() const noexcept { return field_; }
    // The wait that the other side asked for (HTTP Retry-After), in seconds; 0 when it asked for none.
    double retry_after_seconds() const noexcept { return retry_after_seconds_; }

    // Returns this error with "context: " put before its message.
    Error with_context(std::string_view context) const;
    Error with_hint(std::string hint) const;
    Error with_field(std::string field) const;
    Error with_retry_after(double seconds) const;

    const char* what() const noexcept override { return message_.c_str(); }

  private:
    ErrorCode code_;
    std::string message_;
    std::string hint_;
    std::string field_;
    bool retryable_;
    double retry_after_seconds_ = 0;
};

// An Error for a failed system call: code from `error_number` (ENOSPC, EROFS, EACCES, ENOENT … have their
// own), message "`what`: <text of errno>".
Error system_error(int error_number, std::string_view what);

// Runs `body`; an Error that leaves it gets `context` put before its message.
template <typename Body>
decltype(auto) in_context(std::string_view context, Body&& body) {
    try {
        return std::forward<Body>(body)();
    } catch (const Error& error) {
        throw error.with_context(context);
    }
}

} // namespace holdfast
