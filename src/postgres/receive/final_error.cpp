#include "postgres/receive/final_error.h"

#include "postgres/server/server_error.h"

namespace holdfast::postgres {

namespace {

bool server_will_not_do_it(ErrorCode code) {
    return code == ErrorCode::access_denied || code == ErrorCode::not_found ||
           code == ErrorCode::unsupported || code == ErrorCode::incompatible;
}

} // namespace

bool is_no_matter_of_time(const Error& error) {
    return error.code() == ErrorCode::already_exists || error.code() == ErrorCode::usage ||
           error.code() == ErrorCode::internal;
}

bool ends_receiving(const Error& error, bool received_before) {
    const auto* said = dynamic_cast<const ServerError*>(&error);
    if (said != nullptr && !said->sqlstate().empty())
        return !received_before && !error.retryable() && server_will_not_do_it(error.code());
    return is_no_matter_of_time(error) || (!received_before && !error.retryable());
}

} // namespace holdfast::postgres
