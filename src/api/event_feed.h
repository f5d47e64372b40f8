// What happens to things of one kind, as it is seen from outside: for streams of events, to clients who come
// and go.
#pragma once

#include "api/call.h"
#include "api/http/message.h"
#include "base/clock.h"

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>

namespace holdfast::api {

// Looks at the catalog, at most once in `interval` however many listen and never when nobody does, and keeps
// the last thousand of what was new: so it sees what other servers do as well. What happens twice within one
// interval may be one event. Thread-safe.
class EventFeed : public std::enable_shared_from_this<EventFeed> {
  public:
    // `kind` is the head of the ids of its events. `clock` outlives it.
    EventFeed(std::string kind, Clock& clock, Duration interval)
        : kind_(std::move(kind)), clock_(clock), interval_(interval) {}
    virtual ~EventFeed() = default;
    EventFeed(const EventFeed&) = delete;
    EventFeed& operator=(const EventFeed&) = delete;

    // A source for one client. First it says where things stand ("snapshot": a list; where that is long,
    // "more" has the rest of it, and the last part alone has an id), or, where `last_id` is of an event of
    // this feed that is still kept, goes on behind it. "gap" says that more was missed than is kept, and
    // another "snapshot" follows.
    std::shared_ptr<EventSource> listen(const std::string& last_id);

  protected:
    // Both are called by one thread at a time, and may throw what the catalog throws: then they are called
    // again. The first says by stands() where things stand; the second also tells what is new since.
    virtual void begin() = 0;
    virtual void follow() = 0;

    // Of what is not over, by its id; one JSON object.
    void stands(const std::string& id, std::string json) { standing_[id] = std::move(json); }
    void stands_no_more(const std::string& id) { standing_.erase(id); }
    const std::map<std::string, std::string>& standing() const { return standing_; }
    // An event.
    void tell(const std::string& type, std::string json);
    Timestamp now() const { return clock_.now(); }

  private:
    class Listener;
    void look();
    std::int64_t next_number() const { return first_number_ + static_cast<std::int64_t>(events_.size()); }

    const std::string kind_;
    Clock& clock_;
    const Duration interval_;
    std::mutex mutex_; // of what follows
    bool looked_ = false;
    Duration last_look_{};
    std::int64_t first_number_ = 1; // of events_.front()
    std::deque<Event> events_;
    std::map<std::string, std::string> standing_;
    std::string name_; // of this feed, in front of the numbers of its events
};

// The answer to who wants to listen: on from his Last-Event-ID, if he has one.
Response answer_with_events(const Call& call, EventFeed& feed);

} // namespace holdfast::api
