// Requests to the API of a server.
#pragma once

#include "base/random.h"
#include "store/http_client.h"

#include <functional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace holdfast {

// A server, and how it is asked.
struct ServerAccess {
    std::string url;       // https://host:port
    std::string token;     // hf_…; never in a message
    std::string ca_file{}; // a certificate to trust in place of the system's; empty: those
    // Of the second factor, for the first change that takes one; empty: none is at hand.
    std::string code{};
    // Called when the server asks for a code, or takes the one that it got for wrong or used: each serves
    // once.
    std::function<std::string()> ask_code{};
};

using ApiQuery = std::vector<std::pair<std::string, std::string>>;

// A request that changes something.
struct ApiChange {
    std::string method = "POST";
    std::string path{};
    std::string body = "{}"; // JSON
    std::string if_match{};  // of what is edited: which version was seen; * for any
    // Whether the server does it once however often it is sent under one Idempotency-Key. What is not kept
    // so is sent again only when it certainly was not done.
    bool kept_by_key = true;
};

// What may pass (no answer, 429, 502 to 504) is tried again a few times, with growing pauses or those that
// the server asks for. Thread-safe. Clock and random outlive it.
class ApiClient {
  public:
    // Throws Error(usage) when the URL is none of a server.
    ApiClient(ServerAccess access, Clock& clock, Random& random, std::stop_token stop);

    const std::string& url() const { return access_.url; }
    Clock& clock() const { return clock_; }

    // All of these throw Error: no server there, certificate not trusted, what api_error() makes of other
    // answers, Error(incompatible) for what is no JSON, Error(cancelled) after a stop.

    nlohmann::json get(const std::string& path, const ApiQuery& query = {});
    // All parts of a list, in order, until `visit` returns false. Each has `items`.
    void each_part(const std::string& path, ApiQuery query,
                   const std::function<bool(const nlohmann::json&)>& visit);
    // The members of `items` of all of them.
    void each(const std::string& path, ApiQuery query,
              const std::function<bool(const nlohmann::json&)>& visit);
    // All of them.
    nlohmann::json list(const std::string& path, const ApiQuery& query = {});
    // What the server answers to a change; null when it says nothing.
    nlohmann::json change(const ApiChange& change);

  private:
    HttpResponse perform(HttpRequest& request, bool repeatable);
    HttpResponse perform_once(const HttpRequest& request);
    HttpRequest request_for(const std::string& method, const std::string& target) const;
    nlohmann::json body_of(const HttpResponse& response) const;

    ServerAccess access_;
    Clock& clock_;
    Random& random_;
    std::stop_token stop_;
    HttpClient http_;
};

// `text` as one segment of a path, or as a value of a query.
std::string url_part(std::string_view text);

} // namespace holdfast
