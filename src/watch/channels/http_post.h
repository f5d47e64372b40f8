// What all channels over HTTP share.
#pragma once

#include "store/http_client.h"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace holdfast {

class HttpPost {
  public:
    // `clock` must outlive it.
    HttpPost(const std::string& ca_file, Duration timeout, Clock& clock);

    // Sends `body`, and returns when the answer is a success. Redirects are not followed, the answer is
    // bounded. Throws what the answer means: 408, 425, 429 and 5xx are retryable, with their Retry-After.
    // What the server says is in the message, but never `secret`.
    void send(const std::string& url, const std::vector<std::pair<std::string, std::string>>& headers,
              std::string_view body, std::string_view secret, const std::stop_token& stop);

  private:
    Duration timeout_;
    Clock& clock_;
    HttpClient client_;
};

// `text` with every `secret` in it replaced.
std::string without_secret(std::string text, std::string_view secret);

} // namespace holdfast
