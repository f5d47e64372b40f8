// What the server knows of the repository without asking it: as it was a moment ago.
#pragma once

#include "service/measure.h"
#include "service/open_repository.h"

#include <functional>
#include <memory>
#include <mutex>

namespace holdfast {

struct RepositoryView {
    Timestamp at{};
    ProtectionStatus measurements;
};

// Looks at the repository now and then, and gives out what it saw. Thread-safe, but for look(), which one
// thread calls. The arguments must outlive it.
class RepositoryObserver {
  public:
    RepositoryObserver(std::function<OpenRepository()> open, Clock& clock)
        : open_(std::move(open)), clock_(clock) {}

    // Throws what opening and measuring throw; what was seen before stays.
    void look(const std::vector<Policy>& policies, const MeasureSettings& settings,
              const std::stop_token& stop);
    // As it was opened for the last look; for the thread that looks, and until its next look.
    Repository& repository() { return *repository_.value().repository; }
    // Null before the first look.
    std::shared_ptr<const RepositoryView> view() const;
    // As it was seen last; throws Error(unavailable) before the first look.
    std::shared_ptr<const RepositoryView> require_view() const;

  private:
    std::function<OpenRepository()> open_;
    Clock& clock_;
    // Opened anew after a failure, and each hour: keys are added and revoked.
    std::optional<OpenRepository> repository_;
    Duration opened_{};
    mutable std::mutex mutex_;
    std::shared_ptr<const RepositoryView> view_;
};

} // namespace holdfast
