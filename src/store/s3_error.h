// What the errors of S3 mean for us and for the user.
#pragma once

#include "base/error.h"
#include "store/s3_client.h"

namespace holdfast {

// The Error for an answer that is no success: "`what`: HTTP 403 SignatureDoesNotMatch: <the server's words>".
// Codes after "Error responses" of the Amazon S3 API Reference, with what radosgw and Swift say instead.
Error s3_error(const S3Answer& answer, const std::string& what, const S3Settings& settings, Timestamp now);

} // namespace holdfast
