// The whole of the API as one thing to construct: certificate, tokens, routes, server.
#pragma once

#include "api/http/http_server.h"
#include "api/router.h"
#include "api/routes/routes.h"

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace holdfast::api {

struct ApiSettings {
    HttpServerSettings http{};
    // For what the server keeps beside its catalog: its self-made certificate.
    std::string state_directory;
    // Both or none: then one is made.
    std::string certificate_file{}, key_file{};
    // Names and addresses for the self-made certificate, beside localhost and the machine's own name.
    std::vector<std::string> certificate_names{};
    AccessSettings access{};
    // By action: "backups.delete", "retention.shorten", "holds.release", "tokens.administer"; none when it is
    // not named.
    std::map<std::string, Protection> protection{};
    Duration feed_interval = std::chrono::seconds(1);
};

// What the API stands on. All of it outlives the server.
struct ApiParts {
    Catalog& catalog;
    Clock& clock;
    Random& random;
    Logger& logger;
    PrepareOperation prepare{};
    std::function<std::vector<Statement>()> statements{};
    // Beside the catalog, which is always looked at.
    std::vector<ReadyCheck> ready{};
};

// Made, given more routes, started, stopped. start() and stop() by one thread; the rest is thread-safe once
// it is started.
class ApiServer {
  public:
    // Reads or makes the certificate. Throws as read_tls_identity() and own_tls_identity() do.
    ApiServer(ApiSettings settings, ApiParts parts);
    ~ApiServer();
    ApiServer(const ApiServer&) = delete;
    ApiServer& operator=(const ApiServer&) = delete;

    // The first administrator's token, on the first start with a catalog; nothing when there has been one.
    // With a second factor when an action is protected by a code. `show` shows it, once, before the catalog
    // has it: who ends in between has shown what opens nothing, and the next start shows another. When `show`
    // throws there is no token.
    std::optional<IssuedToken> first_token(const std::function<void(const IssuedToken&)>& show =
                                               [](const IssuedToken&) {});
    // See api/approved.h; to be called now and then.
    std::size_t carry_out_left();
    // For routes of others, before start().
    Router& router();
    Tokens& tokens();
    const RouteServices& services() const;

    // Listens. Throws as HttpServer does.
    void start();
    std::uint16_t port() const;
    // SHA-256 of the certificate, hexadecimal: what a client may be told to trust.
    std::string fingerprint() const;
    Timestamp certificate_ends() const;
    // Reads the certificate again; connections go on. Throws as the constructor does, and goes on with the
    // one before.
    void reload_certificate();
    void stop(Duration grace);
    HttpServerCounts counts() const;

  private:
    class Inside;
    std::unique_ptr<Inside> inside_;
};

} // namespace holdfast::api
