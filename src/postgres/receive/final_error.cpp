#include "postgres/receive/final_error.h"

#include "postgres/server/server_error.h"

namespace holdfast::postgres {

namespace {

bool server_will_not_do_it(ErrorCode code) {
    return code == ErrorCode::access_denied || code == ErrorCode::not_found ||
           code == ErrorCode::unsupported || code == ErrorCode::incompatible;
}

} // namespace

bool ends_receiving(const Error& error, bool received_before) {
    const auto* said = dynamic_cast<const ServerError*>(&error);
    if (said != nullptr && !said->sqlstate().empty())
        return !received_before && !error.retryable() && server_will_not_do_it(error.code());
    switch (error.code()) {
    case ErrorCode::already_exists:
    case ErrorCode::usage:
    case ErrorCode::internal:
        return true;
    default:
        return !received_before && !error.retryable();
    }
}

} // namespace holdfast::postgres
