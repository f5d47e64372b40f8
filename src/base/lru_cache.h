// A map that forgets what was used longest ago when it holds too much.
#pragma once

#include <cstddef>
#include <list>
#include <map>
#include <utility>

namespace holdfast {

// Bounded by the sum of the sizes that its user states. Not thread-safe.
template <typename Key, typename Value>
class LruCache {
  public:
    explicit LruCache(std::size_t capacity_bytes) : capacity_bytes_(capacity_bytes) {}

    // The value, now the most recently used, or null. The pointer holds until the next put.
    Value* find(const Key& key) {
        const auto found = places_.find(key);
        if (found == places_.end()) return nullptr;
        entries_.splice(entries_.begin(), entries_, found->second);
        return &found->second->value;
    }

    // Keeps `value`, even when it alone is larger than the capacity, and drops the oldest until the rest
    // fits.
    Value& put(const Key& key, Value value, std::size_t size_bytes) {
        if (const auto found = places_.find(key); found != places_.end()) {
            held_bytes_ -= found->second->size_bytes;
            entries_.erase(found->second);
            places_.erase(found);
        }
        entries_.push_front(Entry{key, std::move(value), size_bytes});
        places_[key] = entries_.begin();
        held_bytes_ += size_bytes;
        while (held_bytes_ > capacity_bytes_ && entries_.size() > 1) {
            held_bytes_ -= entries_.back().size_bytes;
            places_.erase(entries_.back().key);
            entries_.pop_back();
        }
        return entries_.front().value;
    }

    void erase(const Key& key) {
        if (const auto found = places_.find(key); found != places_.end()) {
            held_bytes_ -= found->second->size_bytes;
            entries_.erase(found->second);
            places_.erase(found);
        }
    }

    std::size_t held_bytes() const { return held_bytes_; }

  private:
    struct Entry {
        Key key;
        Value value;
        std::size_t size_bytes;
    };
    std::size_t capacity_bytes_;
    std::size_t held_bytes_ = 0;
    std::list<Entry> entries_;
    std::map<Key, typename std::list<Entry>::iterator> places_;
};

} // namespace holdfast
