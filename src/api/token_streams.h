// Streams of events that last no longer than the token that asked for them.
#pragma once

#include "api/access.h"
#include "api/http/message.h"
#include "api/permission.h"
#include "api/problem.h"

#include <expected>
#include <map>
#include <memory>
#include <mutex>
#include <string>

namespace holdfast::api {

// Thread-safe. `access` outlives it, and it outlives its streams.
class TokenStreams {
  public:
    static constexpr std::size_t most_per_token = 16;

    explicit TokenStreams(Access& access) : access_(access) {}

    // The same events, for as long as the identity's token is good and has the permission, which is asked
    // each time: when it has ended, so has the stream; while nobody can tell, nothing is told. A problem when
    // the token has too many streams as it is.
    std::expected<std::shared_ptr<EventSource>, Problem>
    guard(const Identity& identity, Permission permission, std::shared_ptr<EventSource> events);

  private:
    class Guarded;

    Access& access_;
    std::mutex mutex_;
    std::map<std::string, std::size_t> counts_; // by id of the token
};

} // namespace holdfast::api
