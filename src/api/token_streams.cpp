#include "api/token_streams.h"

#include "base/error.h"

#include <fmt/format.h>

namespace holdfast::api {

namespace {

// Until who has too many may have lost one.
constexpr double try_again_seconds = 5;

} // namespace

class TokenStreams::Guarded final : public EventSource {
  public:
    Guarded(TokenStreams& streams, const Identity& identity, Permission permission,
            std::shared_ptr<EventSource> events)
        : streams_(streams), identity_(identity), permission_(permission), events_(std::move(events)) {}
    ~Guarded() override {
        const std::scoped_lock lock(streams_.mutex_);
        const auto count = streams_.counts_.find(identity_.token.id);
        if (--count->second == 0) streams_.counts_.erase(count);
    }
    Guarded(const Guarded&) = delete;
    Guarded& operator=(const Guarded&) = delete;

    std::optional<std::vector<Event>> next() override {
        try {
            const auto lets = streams_.access_.still_lets(identity_, permission_);
            if (!lets) return std::vector<Event>{};
            if (!*lets) return std::nullopt;
        } catch (const Error& error) {
            // A catalog that is away comes back.
            if (!error.retryable()) throw;
            return std::vector<Event>{};
        }
        return events_->next();
    }

  private:
    TokenStreams& streams_;
    const Identity identity_;
    const Permission permission_;
    const std::shared_ptr<EventSource> events_;
};

std::expected<std::shared_ptr<EventSource>, Problem>
TokenStreams::guard(const Identity& identity, Permission permission, std::shared_ptr<EventSource> events) {
    {
        const std::scoped_lock lock(mutex_);
        std::size_t& count = counts_[identity.token.id];
        if (count == most_per_token) {
            Problem problem = problem_of(
                429, fmt::format("this token has {} streams of events, and may have no more", count));
            problem.retry_after_seconds = try_again_seconds;
            return std::unexpected(std::move(problem));
        }
        ++count;
    }
    return std::make_shared<Guarded>(*this, identity, permission, std::move(events));
}

} // namespace holdfast::api
