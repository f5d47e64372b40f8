#include "base/random.h"

#include "base/error.h"

#include <algorithm>
#include <climits>

#include <openssl/rand.h>

namespace holdfast {

namespace {

class SystemRandom final : public Random {
  public:
    void fill(MutableByteView out) override {
        while (!out.empty()) {
            const std::size_t size = std::min<std::size_t>(out.size(), INT_MAX);
            if (RAND_bytes(out.data(), static_cast<int>(size)) != 1) {
                throw Error(ErrorCode::internal, "the system gave no random bytes");
            }
            out = out.subspan(size);
        }
    }
};

} // namespace

std::uint64_t Random::u64() { return id<8>().prefix(); }

std::uint64_t Random::below(std::uint64_t limit) {
    // Values under 2^64 mod limit are rejected, so that every remainder is equally likely.
    const std::uint64_t rejected = (0 - limit) % limit;
    for (;;) {
        if (const std::uint64_t value = u64(); value >= rejected) return value % limit;
    }
}

Random& system_random() {
    static SystemRandom random;
    return random;
}

void SeededRandom::fill(MutableByteView out) {
    const std::scoped_lock lock(mutex_);
    for (std::size_t i = 0; i < out.size(); i += 8) {
        std::uint64_t value = engine_();
        for (std::size_t k = i; k < out.size() && k < i + 8; ++k, value >>= 8)
            out[k] = static_cast<Byte>(value);
    }
}

} // namespace holdfast
