#include "base/error.h"

#include <cerrno>
#include <system_error>
#include <utility>

namespace holdfast {

std::string_view to_string(ErrorCode code) {
    switch (code) {
    case ErrorCode::usage:
        return "usage";
    case ErrorCode::not_found:
        return "not_found";
    case ErrorCode::already_exists:
        return "already_exists";
    case ErrorCode::access_denied:
        return "access_denied";
    case ErrorCode::wrong_key:
        return "wrong_key";
    case ErrorCode::corrupt:
        return "corrupt";
    case ErrorCode::incompatible:
        return "incompatible";
    case ErrorCode::unavailable:
        return "unavailable";
    case ErrorCode::timed_out:
        return "timed_out";
    case ErrorCode::cancelled:
        return "cancelled";
    case ErrorCode::no_space:
        return "no_space";
    case ErrorCode::read_only:
        return "read_only";
    case ErrorCode::unsupported:
        return "unsupported";
    case ErrorCode::fenced:
        return "fenced";
    case ErrorCode::io:
        return "io";
    case ErrorCode::internal:
        return "internal";
    }
    return "internal";
}

Error::Error(ErrorCode code, std::string message, std::string hint, bool retryable)
    : code_(code), message_(std::move(message)), hint_(std::move(hint)), retryable_(retryable) {}

Error Error::with_context(std::string_view context) const {
    Error copy = *this;
    copy.message_ = std::string(context) + ": " + message_;
    return copy;
}

Error Error::with_field(std::string field) const {
    Error copy = *this;
    copy.field_ = std::move(field);
    return copy;
}

Error Error::with_hint(std::string hint) const {
    Error copy = *this;
    copy.hint_ = std::move(hint);
    return copy;
}

Error Error::with_retry_after(double seconds) const {
    Error copy = *this;
    copy.retry_after_seconds_ = seconds;
    return copy;
}

namespace {

ErrorCode code_of(int error_number) {
    switch (error_number) {
    case ENOENT:
        return ErrorCode::not_found;
    case EEXIST:
        return ErrorCode::already_exists;
    case EACCES:
    case EPERM:
        return ErrorCode::access_denied;
    case ENOSPC:
    case EDQUOT:
        return ErrorCode::no_space;
    case EROFS:
        return ErrorCode::read_only;
    case ETIMEDOUT:
        return ErrorCode::timed_out;
    case ENOTSUP:
        return ErrorCode::unsupported;
    default:
        return ErrorCode::io;
    }
}

std::string hint_of(ErrorCode code) {
    switch (code) {
    case ErrorCode::no_space:
        return "free some space, or choose another place";
    case ErrorCode::read_only:
        return "mount it for writing, or choose another place";
    case ErrorCode::access_denied:
        return "run as a user who may do this, or change the permissions";
    default:
        return {};
    }
}

} // namespace

Error system_error(int error_number, std::string_view what) {
    const ErrorCode code = code_of(error_number);
    return Error(code, std::string(what) + ": " + std::generic_category().message(error_number),
                 hint_of(code), error_number == EINTR || error_number == EAGAIN);
}

} // namespace holdfast
