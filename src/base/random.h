// Random bytes, injected so that a seed can replay a failure.
#pragma once

#include "base/bytes.h"

#include <mutex>
#include <random>

namespace holdfast {

class Random {
  public:
    virtual ~Random() = default;
    // Fills `out`. Thread-safe. Throws Error(internal) when the system has no randomness to give.
    virtual void fill(MutableByteView out) = 0;

    template <std::size_t N>
    FixedBytes<N> id() {
        FixedBytes<N> value;
        fill(value.bytes);
        return value;
    }
    std::uint64_t u64();
    // Uniform in [0, limit); limit must not be 0.
    std::uint64_t below(std::uint64_t limit);
};

// The cryptographic generator of OpenSSL.
Random& system_random();

// The same bytes for the same seed, on every machine. For tests only: never for keys that protect anything.
class SeededRandom final : public Random {
  public:
    explicit SeededRandom(std::uint64_t seed) : engine_(seed) {}
    void fill(MutableByteView out) override;

  private:
    std::mutex mutex_;
    std::mt19937_64 engine_;
};

} // namespace holdfast
