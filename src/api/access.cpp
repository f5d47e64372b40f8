#include "api/access.h"

#include <algorithm>
#include <array>
#include <cstring>

#include <arpa/inet.h>
#include <fmt/format.h>

namespace holdfast::api {

namespace {

constexpr std::size_t most_known = 10'000;
constexpr std::size_t secret_length = 3 + 64;

Problem too_many(double wait_seconds, std::string detail) {
    Problem problem = problem_of(429, std::move(detail));
    problem.retry_after_seconds = wait_seconds;
    return problem;
}

// The secret of "Bearer hf_…", or nothing when it has not the form of one.
std::optional<std::string> secret_in(std::string_view field) {
    constexpr std::string_view scheme = "Bearer ";
    if (field.size() < scheme.size() || !equal_without_case(field.substr(0, scheme.size()), scheme))
        return std::nullopt;
    const std::string_view secret = field.substr(scheme.size());
    if (secret.size() != secret_length || !secret.starts_with("hf_") ||
        secret.substr(3).find_first_not_of("0123456789abcdef") != std::string_view::npos)
        return std::nullopt;
    return std::string(secret);
}

} // namespace

std::string address_group(const std::string& address) {
    std::array<unsigned char, sizeof(in6_addr)> bytes{};
    if (::inet_pton(AF_INET6, address.c_str(), bytes.data()) != 1) return address;
    std::fill(bytes.begin() + 8, bytes.end(), static_cast<unsigned char>(0));
    std::array<char, INET6_ADDRSTRLEN> text{};
    ::inet_ntop(AF_INET6, bytes.data(), text.data(), text.size());
    return std::string(text.data()) + "/64";
}

Access::Access(AccessSettings settings, Tokens& tokens, Clock& clock)
    : settings_(settings),
      tokens_(tokens),
      clock_(clock),
      token_rates_(clock, settings.per_token),
      address_rates_(clock, settings.per_address),
      failure_rates_(clock, settings.failures),
      code_rates_(clock, settings.wrong_codes),
      known_(most_known) {}

std::expected<void, Problem> Access::admit(const Request& request) {
    if (const auto wait = address_rates_.take(address_group(request.peer)))
        return std::unexpected(too_many(*wait, "too many requests from this address"));
    return {};
}

std::optional<Token> Access::remembered(const std::string& secret, bool& known_well) {
    const Duration now = clock_.steady();
    const std::scoped_lock lock(mutex_);
    const Known* known = known_.find(secret);
    known_well = known != nullptr;
    if (known != nullptr && now - known->at < settings_.believed_for) return known->token;
    return std::nullopt;
}

std::optional<Token> Access::look_up(const std::string& secret) {
    std::unique_lock trial(trial_, std::defer_lock);
    if (catalog_failed_ && !trial.try_lock())
        throw Error(ErrorCode::unavailable, "the catalog does not answer", {}, true);
    try {
        auto token = tokens_.find_by_secret(secret);
        catalog_failed_ = false;
        return token;
    } catch (const Error&) {
        catalog_failed_ = true;
        throw;
    }
}

void Access::remember(const std::string& secret, const Token& token) {
    const std::scoped_lock lock(mutex_);
    known_.put(secret, {.token = token, .at = clock_.steady()}, 1);
}

Problem Access::refuse(const Request& request, std::string detail) {
    if (const auto wait = failure_rates_.take(address_group(request.peer)))
        return too_many(*wait, "too many requests without a good token from this address");
    Problem problem = problem_of(401, std::move(detail));
    problem.hint = "send a token of this server: \"Authorization: Bearer hf_...\"";
    problem.headers.set("WWW-Authenticate", "Bearer realm=\"holdfast\"");
    return problem;
}

std::expected<Identity, Problem> Access::identify(const Request& request) {
    const auto field = request.headers.find("Authorization");
    if (!field || request.headers.count("Authorization") != 1)
        return std::unexpected(refuse(request, "the request shows no token"));
    const auto secret = secret_in(*field);
    if (!secret) return std::unexpected(refuse(request, "this is no token of Holdfast"));
    bool known_well = false;
    std::optional<Token> token = remembered(*secret, known_well);
    if (!token) {
        // Who has tried too often must not make the database work; who was good a moment ago may.
        if (!known_well) {
            if (const auto wait = failure_rates_.wait_for(address_group(request.peer))) {
                return std::unexpected(
                    too_many(*wait, "too many requests without a good token from this address"));
            }
        }
        token = look_up(*secret);
        if (!token) return std::unexpected(refuse(request, "the token is not known"));
        remember(*secret, *token);
    }
    if (token->revoked) return std::unexpected(refuse(request, "the token has been revoked"));
    if (!token->is_valid(clock_.now())) return std::unexpected(refuse(request, "the token has expired"));
    if (const auto wait = token_rates_.take(token->id))
        return std::unexpected(too_many(*wait, "too many requests with this token"));
    return Identity{.token = std::move(*token), .secret = *secret};
}

std::expected<void, Problem> Access::permit(const Identity& identity, Permission permission) {
    if (allows(identity.token.roles, permission)) return {};
    std::string names;
    for (const TokenRole role : roles_with(permission))
        names += fmt::format("{}{}", names.empty() ? "" : ", ", to_string(role));
    Problem problem = problem_of(403, fmt::format("the token \"{}\" does not have the permission \"{}\"",
                                                  identity.token.name, to_string(permission)));
    problem.hint = fmt::format("it takes one of the roles {}", names);
    return std::unexpected(std::move(problem));
}

std::optional<bool> Access::still_lets(const Identity& identity, Permission permission) {
    bool known_well = false;
    std::optional<Token> token = remembered(identity.secret, known_well);
    if (!token) {
        // A catalog that hangs must not hold up as many threads as there are streams.
        const std::unique_lock lock(asking_again_, std::try_to_lock);
        if (!lock.owns_lock()) return std::nullopt;
        token = look_up(identity.secret);
        if (!token) return false;
        remember(identity.secret, *token);
    }
    return token->is_valid(clock_.now()) && allows(token->roles, permission);
}

std::expected<void, Problem> Access::check_code(const Identity& identity, std::string_view code) {
    if (const auto wait = code_rates_.wait_for(identity.token.id))
        return std::unexpected(too_many(*wait, "too many wrong codes with this token"));
    if (tokens_.accept_code(identity.token, identity.secret, code)) return {};
    code_rates_.take(identity.token.id);
    Problem problem = problem_of(403, "the code of the second factor is wrong, or was used before");
    problem.code = "wrong-code";
    problem.hint = "a code is good once: wait for the next one";
    problem.errors.push_back({"Holdfast-Code", "is wrong, or was used before"});
    return std::unexpected(std::move(problem));
}

void Access::forget() {
    const std::scoped_lock lock(mutex_);
    known_ = LruCache<std::string, Known>(most_known);
}

} // namespace holdfast::api
