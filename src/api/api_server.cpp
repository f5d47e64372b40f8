#include "api/api_server.h"

#include "api/approved.h"
#include "base/error.h"

#include <algorithm>
#include <mutex>

namespace holdfast::api {

namespace {

TlsIdentity identity_of(const ApiSettings& settings, Clock& clock) {
    if (settings.certificate_file.empty() != settings.key_file.empty()) {
        throw Error(ErrorCode::usage, "a certificate and its key must be named together",
                    "name both files, or none: then a certificate is made");
    }
    if (!settings.certificate_file.empty())
        return read_tls_identity(settings.certificate_file, settings.key_file);
    std::vector<std::string> names = settings.certificate_names;
    names.push_back(host_name());
    return own_tls_identity(settings.state_directory, names, clock);
}

ReadyCheck catalog_check(Catalog& catalog) {
    return {.name = "catalog", .missing = [&catalog]() -> std::optional<std::string> {
                try {
                    catalog.with([](Database& database) { return database.query("SELECT 1"); });
                    return std::nullopt;
                } catch (const Error&) {
                    return "does not answer";
                }
            }};
}

} // namespace

class ApiServer::Inside {
  public:
    Inside(ApiSettings settings, ApiParts parts)
        : settings_(std::move(settings)),
          clock_(parts.clock),
          logger_(parts.logger),
          identity_(identity_of(settings_, clock_)),
          operations_(parts.catalog, clock_, parts.random),
          tokens_(parts.catalog, clock_, parts.random),
          answers_(parts.catalog, clock_, parts.random),
          approvals_(parts.catalog, clock_, parts.random),
          audit_(parts.catalog, clock_),
          access_(settings_.access, tokens_, clock_),
          services_{.catalog = parts.catalog,
                    .operations = operations_,
                    .tokens = tokens_,
                    .approvals = approvals_,
                    .audit = audit_,
                    .access = access_,
                    .clock = clock_,
                    .feed = std::make_shared<OperationFeed>(operations_, clock_, settings_.feed_interval),
                    .prepare = std::move(parts.prepare),
                    .statements = std::move(parts.statements),
                    .ready = std::move(parts.ready)},
          router_(settings_.protection, access_, approvals_,
                  {.catalog = parts.catalog,
                   .audit = audit_,
                   .answers = answers_,
                   .clock = clock_,
                   .random = parts.random,
                   .logger = logger_}) {
        services_.ready.insert(services_.ready.begin(), catalog_check(parts.catalog));
        add_system_routes(router_, services_);
        add_operation_routes(router_, services_);
        add_work_routes(router_, services_);
        add_audit_routes(router_, services_);
        add_token_routes(router_, services_);
        add_approval_routes(router_, services_);
        add_backup_recovery_routes(router_, services_);
    }

    std::optional<IssuedToken> first_token(const std::function<void(const IssuedToken&)>& show) {
        const bool codes = std::ranges::any_of(settings_.protection, [](const auto& each) {
            return each.second == Protection::code || each.second == Protection::either;
        });
        return tokens_.issue_first(codes, [&](Database& database, const IssuedToken& issued) {
            audit_.append(database, "first start", "token.create", issued.token.name,
                          token_in_trail(issued.token));
            show(issued);
        });
    }

    void start() {
        warn_of_the_end();
        HttpServerSettings http = settings_.http;
        http.takes_long = [this](const Request& request) { return router_.takes_long(request); };
        // Who hears nothing takes the server for dead, and ends it: a catalog that hangs is no reason.
        http.waits_for_nothing = [](const Request& request) { return request.path == "/healthz"; };
        server_ = std::make_unique<HttpServer>(
            std::move(http), identity_, [this](const Request& request) { return router_.answer(request); },
            [this](int status, const std::string& reason) { return router_.refuse(status, reason); }, clock_,
            logger_);
    }

    // Nobody should learn from a 401 that the last administrator's token has ended.
    void warn_of_the_end() {
        const auto ends = tokens_.last_administrator_ends();
        if (!ends || *ends - clock_.now() > std::chrono::days(30)) return;
        logger_.warning("api.last_administrator_ends", {{"at", to_rfc3339(*ends)}});
    }

    void reload() {
        TlsIdentity identity = identity_of(settings_, clock_);
        if (server_) server_->use(identity);
        const std::scoped_lock lock(mutex_);
        identity_ = std::move(identity);
    }

    HttpServer& server() {
        if (!server_) throw Error(ErrorCode::internal, "the API has not been started");
        return *server_;
    }

    void stop(Duration grace) {
        if (server_) server_->stop(grace);
    }

    std::string fingerprint() {
        const std::scoped_lock lock(mutex_);
        return identity_.fingerprint;
    }
    Timestamp certificate_ends() {
        const std::scoped_lock lock(mutex_);
        return identity_.not_after;
    }

    const ApiSettings settings_;
    Clock& clock_;
    Logger& logger_;
    std::mutex mutex_; // of identity_
    TlsIdentity identity_;
    Operations operations_;
    Tokens tokens_;
    Answers answers_;
    Approvals approvals_;
    Audit audit_;
    Access access_;
    RouteServices services_;
    Router router_;
    std::unique_ptr<HttpServer> server_; // last: its threads use all of the above
};

ApiServer::ApiServer(ApiSettings settings, ApiParts parts)
    : inside_(std::make_unique<Inside>(std::move(settings), std::move(parts))) {}
ApiServer::~ApiServer() = default;
std::optional<IssuedToken> ApiServer::first_token(const std::function<void(const IssuedToken&)>& show) {
    return inside_->first_token(show);
}
std::size_t ApiServer::carry_out_left() { return api::carry_out_left(inside_->router_, inside_->services_); }
Router& ApiServer::router() { return inside_->router_; }
Tokens& ApiServer::tokens() { return inside_->tokens_; }
const RouteServices& ApiServer::services() const { return inside_->services_; }
void ApiServer::start() { inside_->start(); }
std::uint16_t ApiServer::port() const { return inside_->server().port(); }
std::string ApiServer::fingerprint() const { return inside_->fingerprint(); }
Timestamp ApiServer::certificate_ends() const { return inside_->certificate_ends(); }
void ApiServer::reload_certificate() { inside_->reload(); }
void ApiServer::stop(Duration grace) { inside_->stop(grace); }
HttpServerCounts ApiServer::counts() const { return inside_->server().counts(); }

} // namespace holdfast::api
