// Secrets in text that others wrote: taken out before it is kept where many read it.
#pragma once

#include <string>
#include <string_view>

namespace holdfast {

// The text without tokens of ours (hf_…), passwords in URLs and connection strings, what stands behind
// "Bearer", and values of what is named like a secret ("sslpassword=…", "client_secret = '…'", "api-key: …",
// "--password …", and "sig=…" of a signed URL), behind "password:" and "passphrase:" up to the end of the
// line unless there are quotes; "(left out)" stands in their places. Rather too much than too little is
// taken. What has been through it once comes back as it is.
std::string without_secrets(std::string_view text);

// The same of all texts of a JSON value, and of the whole value of members that are named like a secret. What
// has none comes back byte for byte, and what is no JSON, or nests more than 100 deep, as without_secrets()
// of it.
std::string json_without_secrets(std::string_view json);

} // namespace holdfast
