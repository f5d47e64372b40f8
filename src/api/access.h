// Who asks, whether he may, and how often.
#pragma once

#include "api/http/message.h"
#include "api/permission.h"
#include "api/problem.h"
#include "api/rate_limits.h"
#include "catalog/tokens.h"

#include <atomic>
#include <expected>
#include <mutex>
#include <optional>
#include <string>

namespace holdfast::api {

struct AccessSettings {
    Rate per_token{.per_second = 2'000, .burst = 4'000};
    Rate per_address{.per_second = 10'000, .burst = 20'000};
    // Of an address: requests without a token that is good.
    Rate failures{.per_second = 0.2, .burst = 20};
    // Of a token: wrong codes of its second factor.
    Rate wrong_codes{.per_second = 1.0 / 60, .burst = 5};
    // For how long a token that was looked up is believed: a revocation takes effect within that time.
    Duration believed_for = std::chrono::milliseconds(800);
};

struct Identity {
    Token token;
    std::string secret; // as it was shown; empty for what is done on behalf of somebody
};

// Thread-safe. The arguments outlive it.
class Access {
  public:
    Access(AccessSettings settings, Tokens& tokens, Clock& clock);

    // Counts a request of this address, whoever sends it; a problem when it sends too many.
    std::expected<void, Problem> admit(const Request& request);
    // Who sends it, by "Authorization: Bearer hf_…". Throws what the catalog throws: who cannot be looked up
    // is not let in.
    std::expected<Identity, Problem> identify(const Request& request);
    static std::expected<void, Problem> permit(const Identity& identity, Permission permission);
    // Whether who was let in before still would be, and may do this; that is no request of his, and counted
    // as none. Nothing when another thread is just finding that out. Throws what the catalog throws.
    std::optional<bool> still_lets(const Identity& identity, Permission permission);
    // Whether `code` is the one of the identity's authenticator now.
    std::expected<void, Problem> check_code(const Identity& identity, std::string_view code);
    // What was looked up is looked up again: after a change made by this server.
    void forget();

  private:
    struct Known {
        Token token;
        Duration at{};
    };
    // What is remembered of a token, while that can be believed; `known_well`: whether it was ever good.
    std::optional<Token> remembered(const std::string& secret, bool& known_well);
    std::optional<Token> look_up(const std::string& secret);
    void remember(const std::string& secret, const Token& token);
    Problem refuse(const Request& request, std::string detail);

    const AccessSettings settings_;
    Tokens& tokens_;
    Clock& clock_;
    RateLimits token_rates_, address_rates_, failure_rates_, code_rates_;
    std::mutex mutex_;
    LruCache<std::string, Known> known_; // by secret
    // While the catalog does not answer one thread at a time waits for it, not all that there are.
    std::atomic<bool> catalog_failed_{false};
    std::mutex trial_;
    std::mutex asking_again_; // held by the one thread that looks up for still_lets()
};

// What an address is counted under: itself, or of IPv6 the /64 that it is in, which one client has for
// himself.
std::string address_group(const std::string& address);

} // namespace holdfast::api
