// How many bytes of unchanged content a run may store anew, so that files do not end up as mosaics of mostly
// dead frames.
#pragma once

#include <cstdint>

namespace holdfast {

// Earned by what is stored because a known file has changed, spent on whole frames; what one file leaves, the
// next may use. Where nothing changes, nothing is stored anew. Not thread-safe.
class RewriteBudget {
  public:
    explicit RewriteBudget(double per_changed_byte) : per_changed_byte_(per_changed_byte) {}

    void changed(std::uint64_t bytes) { left_bytes_ += static_cast<double>(bytes) * per_changed_byte_; }
    // Whether take() would say yes.
    bool any() const { return left_bytes_ > 0; }
    // Whether a frame with so many live bytes may be left behind. Frames are not divided: what the last one
    // takes too much is missing then. So the smallest change moves a frame, where there is a dead one; most
    // have pages near the start of their file, where little was earned yet.
    bool take(std::uint64_t bytes) {
        if (!any()) return false;
        left_bytes_ -= static_cast<double>(bytes);
        return true;
    }

  private:
    const double per_changed_byte_;
    double left_bytes_ = 0;
};

} // namespace holdfast
