// What the server knows of the repository without asking it: as it was a moment ago.
#pragma once

#include "service/measure.h"
#include "service/open_repository.h"

#include <expected>
#include <functional>
#include <memory>
#include <mutex>

namespace holdfast {

struct RepositoryView {
    Timestamp at{};
    ProtectionStatus measurements;
    std::optional<double> clock_offset_seconds{}; // to the store's; see service/clock_check.h
    bool clock_compared = false;                  // whether the store was asked
    // Why this machine's is not to be believed; empty: nothing to tell of. Or why that is not known.
    std::expected<std::string, std::string> clock_doubt{};
};

// Looks at the repository now and then, and gives out what it saw, and what this server has done there since.
// Thread-safe, but for look(), which one thread calls. The arguments must outlive it.
class RepositoryObserver {
  public:
    RepositoryObserver(std::function<OpenRepository()> open, Clock& clock)
        : open_(std::move(open)), clock_(clock) {}

    // Throws what opening and measuring throw; what was seen before stays, as does what is looked at less
    // often when that fails.
    void look(const std::vector<Policy>& policies, const MeasureSettings& settings,
              const std::stop_token& stop);
    // From now on what was seen is told with `news`, which has just become so in the repository. It may be
    // applied again, also to what has it already: until a look that begins after this call.
    using News = std::function<void(ProtectionStatus&)>;
    void learn(News news);
    // As it was opened for the last look; for the thread that looks, and until its next look.
    Repository& repository() { return *repository_.value().repository; }
    // Null before the first look.
    std::shared_ptr<const RepositoryView> view() const;
    // As it was seen last; throws Error(unavailable) before the first look.
    std::shared_ptr<const RepositoryView> require_view() const;

  private:
    // What takes listing everything, or putting something: asked for less often.
    struct Seldom {
        std::optional<Duration> due{};
        std::optional<std::uint64_t> bytes{};
        std::optional<double> clock_offset_seconds{};
        bool clock_compared = false;
    };
    // At the clock of this machine, as far as it remembers it.
    void look_at_clock(RepositoryView& seen);
    // Returns whether it looked.
    bool look_seldom(const std::stop_token& stop);
    void publish(RepositoryView seen);
    void set_view(RepositoryView view);

    std::function<OpenRepository()> open_;
    Clock& clock_;
    // Opened anew after a failure, and each hour: keys are added and revoked.
    std::optional<OpenRepository> repository_;
    Duration opened_{};
    Seldom seldom_;
    std::mutex learning_; // while the next view is made of this one
    std::vector<News> news_;
    mutable std::mutex mutex_;
    std::shared_ptr<const RepositoryView> view_;
};

} // namespace holdfast
