// What a verification finds, one entry an object.
#pragma once

#include "base/bytes.h"
#include "base/error.h"
#include "service/verify.h"

#include <map>
#include <mutex>
#include <string>
#include <unordered_set>
#include <vector>

namespace holdfast {

// Thread-safe. Holds ten thousand objects and counts the others.
class DamageList {
  public:
    // Several findings of one object become one entry, which tells the first.
    void add(const std::string& object, const std::string& what, const std::string& hint);
    std::uint64_t objects() const;
    std::vector<Damage> take();

  private:
    mutable std::mutex mutex_;
    std::map<std::string, Damage> found_;
    std::uint64_t uncounted_ = 0;
};

// Thread-safe. Counts each object once; 16 bytes and the cost of a set an object.
class ClosedList {
  public:
    void add(const std::string& object, const std::string& hint);
    // The hint is that of the first.
    ClosedObjects take();

  private:
    std::mutex mutex_;
    std::unordered_set<FixedBytes<16>, FixedBytesHash> seen_;
    ClosedObjects closed_;
};

// The findings of one verification: damage, and what could not be looked at.
class Findings {
  public:
    // `error` came up while `object` was read. Returns when that says something about the repository, and
    // throws the error again when it does not. When the message begins with the name of another object, that
    // one is named. True for damage, false for what could not be looked at.
    bool take(const Error& error, const std::string& object);
    void damage(const std::string& object, const std::string& what, const std::string& hint) {
        damages.add(object, what, hint);
    }

    DamageList damages;
    DamageList unchecked;
    ClosedList closed;
};

} // namespace holdfast
