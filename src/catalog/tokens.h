// Tokens: who may ask the server for something, and in which roles.
#pragma once

#include "base/random.h"
#include "catalog/catalog.h"

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast {

enum class TokenRole {
    viewer,        // sees everything but the trail and who has tokens
    operator_,     // has things backed up and verified, answers alerts
    restorer,      // gets data back
    administrator, // decides what is kept, and who may what
    exporter,      // takes the trail and reports with him
};
// "operator" for operator_.
std::string_view to_string(TokenRole role);
// Throws Error(usage).
TokenRole role_of(std::string_view text);

struct Token {
    std::string id;   // "tk_" and random digits
    std::string name; // of one token, for all times: the trail speaks of it
    std::set<TokenRole> roles;
    Timestamp created{};
    std::string created_by;
    std::optional<Timestamp> expires, revoked;
    bool has_second_factor = false;

    bool is_valid(Timestamp now) const { return !revoked && (!expires || now < *expires); }
    bool operator==(const Token&) const = default;
};

struct TokenRequest {
    std::string name; // letters, digits, '.', '_', '-', at most 64
    std::set<TokenRole> roles;
    std::string created_by;
    std::optional<Timestamp> expires;
    bool second_factor = false;
};

// What is told once, and never again.
struct IssuedToken {
    Token token;
    std::string secret; // "hf_…"
    // For an authenticator program, where a second factor was asked for: "otpauth://…".
    std::optional<std::string> authenticator;
};

// Of a secret only its SHA-256 digest is kept. The seed of a second factor is kept encrypted under the secret
// itself, so that the catalog alone gives neither away. Thread-safe; the arguments outlive it. All throws
// what the catalog throws.
class Tokens {
  public:
    Tokens(Catalog& catalog, Clock& clock, Random& random)
        : catalog_(catalog), clock_(clock), random_(random) {}

    // Within a transaction of the caller. Throws Error(usage) about the name, the roles or an end that has
    // passed, with the member's name as field(), and Error(already_exists) when a token has had this name.
    IssuedToken issue(Database& database, const TokenRequest& request);
    // The first token ever, an administrator's; nothing when there has been one. `also` is called in the same
    // transaction; what it throws undoes it.
    std::optional<IssuedToken> issue_first(
        bool second_factor, const std::function<void(Database&, const IssuedToken&)>& also =
                                [](Database&, const IssuedToken&) {});

    // Whose secret this is, valid or not.
    std::optional<Token> find_by_secret(std::string_view secret);
    std::optional<Token> find(const std::string& id);
    // In the order of their ids, those behind `after`.
    std::vector<Token> list(const std::string& after, std::size_t limit);

    // Within a transaction. False when it was revoked before. Throws Error(not_found), and Error(fenced) when
    // no administrator's token would be left that is good for another day.
    bool revoke(Database& database, const std::string& id);
    // When the last administrator's token ends; nothing when one has no end, or none is left at all.
    std::optional<Timestamp> last_administrator_ends();

    // Whether `code` is of the authenticator of the token whose secret this is, and was not used before. What
    // is accepted once is refused from then on.
    bool accept_code(const Token& token, std::string_view secret, std::string_view code);

  private:
    Catalog& catalog_;
    Clock& clock_;
    Random& random_;
};

} // namespace holdfast
