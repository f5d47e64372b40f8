#include "catalog/tokens.h"

#include "base/error.h"
#include "base/sha256.h"
#include "crypto/one_time_code.h"
#include "crypto/sealed_text.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace holdfast {

namespace {

constexpr std::size_t seed_bytes = 20;
constexpr std::size_t most_at_once = 1000;
constexpr std::string_view seed_purpose = "holdfast second factor";
constexpr auto good_for_another = std::chrono::hours(24);

constexpr std::array<std::pair<TokenRole, std::string_view>, 5> role_names{{
    {TokenRole::viewer, "viewer"},
    {TokenRole::operator_, "operator"},
    {TokenRole::restorer, "restorer"},
    {TokenRole::administrator, "administrator"},
    {TokenRole::exporter, "exporter"},
}};

constexpr std::string_view columns = "id, name, roles, created, created_by, expires, revoked, "
                                     "(SELECT count(*) FROM second_factors WHERE token = tokens.id)";

std::string text_of(const std::set<TokenRole>& roles) {
    std::string text;
    for (const TokenRole role : roles) text += fmt::format("{}{}", text.empty() ? "" : ",", to_string(role));
    return text;
}

std::set<TokenRole> roles_of(std::string_view text) {
    std::set<TokenRole> roles;
    while (!text.empty()) {
        const std::size_t comma = std::min(text.find(','), text.size());
        roles.insert(role_of(text.substr(0, comma)));
        text.remove_prefix(std::min(comma + 1, text.size()));
    }
    return roles;
}

Token token_of(const SqlRow& row) {
    return {.id = row.text(0),
            .name = row.text(1),
            .roles = roles_of(row.text(2)),
            .created = row.time(3),
            .created_by = row.text(4),
            .expires = row.optional_time(5),
            .revoked = row.optional_time(6),
            .has_second_factor = row.flag(7)};
}

std::string digest_of(std::string_view secret) { return sha256_hex(as_bytes(secret)); }

Error refusal(std::string_view field, std::string_view why) {
    return Error(ErrorCode::usage, fmt::format("{}: {}", field, why)).with_field(std::string(field));
}

void check(const TokenRequest& request, Timestamp now) {
    constexpr std::string_view letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    if (request.name.empty() || request.name.size() > 64 ||
        request.name.find_first_not_of(letters) != std::string::npos)
        throw refusal("name", "must be 1 to 64 letters, digits, dots, underscores or hyphens");
    if (request.roles.empty()) throw refusal("roles", "must name at least one role");
    if (request.expires && *request.expires <= now) throw refusal("expires", "has passed");
}

} // namespace

std::string_view to_string(TokenRole role) {
    for (const auto& [known, name] : role_names)
        if (known == role) return name;
    return "viewer";
}

TokenRole role_of(std::string_view text) {
    for (const auto& [role, name] : role_names)
        if (name == text) return role;
    throw Error(ErrorCode::usage, fmt::format("\"{}\" is no role", text),
                "there are viewer, operator, restorer, administrator and exporter");
}

IssuedToken Tokens::issue(Database& database, const TokenRequest& request) {
    const Timestamp now = clock_.now();
    check(request, now);
    database.lock(CatalogLock::tokens);
    if (!database.query("SELECT id FROM tokens WHERE name = $1", {sql(request.name)}).empty()) {
        throw Error(ErrorCode::already_exists, fmt::format("there has been a token \"{}\"", request.name),
                    "choose another name: the trail tells tokens apart by them")
            .with_field("name");
    }
    IssuedToken issued;
    issued.secret = "hf_" + random_.id<32>().hex();
    issued.token = {.id = "tk_" + random_.id<8>().hex(),
                    .name = request.name,
                    .roles = request.roles,
                    .created = now,
                    .created_by = request.created_by,
                    .expires = request.expires,
                    .revoked = std::nullopt,
                    .has_second_factor = request.second_factor};
    const Token& token = issued.token;
    database.query("INSERT INTO tokens (id, name, digest, roles, created, created_by, expires, revoked) "
                   "VALUES ($1, $2, $3, $4, $5, $6, $7, NULL)",
                   {sql(token.id), sql(token.name), sql(digest_of(issued.secret)), sql(text_of(token.roles)),
                    sql(token.created), sql(token.created_by), sql(token.expires)});
    if (request.second_factor) {
        const auto seed = random_.id<seed_bytes>();
        database.query("INSERT INTO second_factors (token, seed, last_step) VALUES ($1, $2, $3)",
                       {sql(token.id),
                        sql(seal_text(issued.secret, seed_purpose, as_text(seed.bytes), random_)),
                        sql(std::int64_t{0})});
        issued.authenticator = authenticator_address(seed.bytes, token.name);
    }
    return issued;
}

std::optional<IssuedToken>
Tokens::issue_first(bool second_factor, const std::function<void(Database&, const IssuedToken&)>& also) {
    std::optional<IssuedToken> issued;
    catalog_.transaction([&](Database& database) {
        database.lock(CatalogLock::tokens);
        if (!database.query("SELECT id FROM tokens LIMIT 1").empty()) return;
        issued = issue(database, {.name = "first-administrator",
                                  .roles = {TokenRole::administrator},
                                  .created_by = "first start",
                                  .expires = std::nullopt,
                                  .second_factor = second_factor});
        also(database, *issued);
    });
    return issued;
}

std::optional<Token> Tokens::find_by_secret(std::string_view secret) {
    const std::string digest = digest_of(secret);
    const auto rows = catalog_.with([&](Database& database) {
        return database.query(fmt::format("SELECT {}, digest FROM tokens WHERE digest = $1", columns),
                              {sql(digest)});
    });
    if (rows.empty() || !equal_constant_time(as_bytes(rows.front().text(8)), as_bytes(digest)))
        return std::nullopt;
    return token_of(rows.front());
}

std::optional<Token> Tokens::find(const std::string& id) {
    const auto rows = catalog_.with([&](Database& database) {
        return database.query(fmt::format("SELECT {} FROM tokens WHERE id = $1", columns), {sql(id)});
    });
    return rows.empty() ? std::nullopt : std::optional(token_of(rows.front()));
}

std::vector<Token> Tokens::list(const std::string& after, std::size_t limit) {
    const auto rows = catalog_.with([&](Database& database) {
        return database.query(
            fmt::format("SELECT {} FROM tokens WHERE id > $1 ORDER BY id LIMIT CAST($2 AS BIGINT)", columns),
            {sql(after), sql(static_cast<std::int64_t>(std::min(limit, most_at_once)))});
    });
    std::vector<Token> tokens;
    for (const SqlRow& row : rows) tokens.push_back(token_of(row));
    return tokens;
}

bool Tokens::revoke(Database& database, const std::string& id) {
    database.lock(CatalogLock::tokens);
    const auto rows = database.query(fmt::format("SELECT {} FROM tokens WHERE id = $1", columns), {sql(id)});
    if (rows.empty()) throw Error(ErrorCode::not_found, fmt::format("there is no token {}", id));
    const Token token = token_of(rows.front());
    if (token.revoked) return false;
    const Timestamp now = clock_.now();
    if (token.roles.contains(TokenRole::administrator) && token.is_valid(now)) {
        const auto others = database.query(
            fmt::format("SELECT {} FROM tokens WHERE id <> $1 AND revoked IS NULL", columns), {sql(id)});
        const bool one_left = std::ranges::any_of(others, [&](const SqlRow& row) {
            const Token other = token_of(row);
            return other.roles.contains(TokenRole::administrator) && other.is_valid(now + good_for_another);
        });
        if (!one_left) {
            throw Error(ErrorCode::fenced,
                        fmt::format("\"{}\" is the last administrator's token that is good for another day",
                                    token.name),
                        "make another administrator's token first");
        }
    }
    database.query("UPDATE tokens SET revoked = $2 WHERE id = $1", {sql(id), sql(now)});
    return true;
}

std::optional<Timestamp> Tokens::last_administrator_ends() {
    const auto rows = catalog_.with([&](Database& database) {
        return database.query(fmt::format("SELECT {} FROM tokens WHERE revoked IS NULL", columns));
    });
    std::optional<Timestamp> last;
    for (const SqlRow& row : rows) {
        const Token token = token_of(row);
        if (!token.roles.contains(TokenRole::administrator)) continue;
        if (!token.expires) return std::nullopt;
        last = std::max(last.value_or(*token.expires), *token.expires);
    }
    return last;
}

bool Tokens::accept_code(const Token& token, std::string_view secret, std::string_view code) {
    bool accepted = false;
    catalog_.transaction([&](Database& database) {
        const auto rows = database.query("SELECT seed FROM second_factors WHERE token = $1", {sql(token.id)});
        if (rows.empty()) return;
        const auto seed = open_text(secret, seed_purpose, rows.front().text(0));
        if (!seed) return;
        const auto step = find_one_time_step(as_bytes(*seed), code, clock_.now());
        if (!step) return;
        // Of two that come with one code at the same time, one is accepted.
        accepted = !database
                        .query("UPDATE second_factors SET last_step = $2 WHERE token = $1 AND last_step < $2 "
                               "RETURNING token",
                               {sql(token.id), sql(static_cast<std::int64_t>(*step))})
                        .empty();
    });
    return accepted;
}

} // namespace holdfast
