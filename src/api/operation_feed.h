// What happens to operations, as it is seen from outside: for streams of events.
#pragma once

#include "api/http/message.h"
#include "catalog/operations.h"

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>

namespace holdfast::api {

// Looks at the catalog, at most once in `interval` however many listen and never when nobody does, and keeps
// the last thousand of what was new: so it sees what other servers do as well. What happens twice within one
// interval may be one event. Thread-safe. The arguments outlive it.
class OperationFeed : public std::enable_shared_from_this<OperationFeed> {
  public:
    OperationFeed(Operations& operations, Clock& clock, Duration interval)
        : operations_(operations), clock_(clock), interval_(interval) {}

    // A source for one client. First it says where things stand ("snapshot": what is not over; where that is
    // much, "more" has the rest of it, and the last part alone has an id), or, where `last_id` is of an event
    // of this feed that is still kept, goes on behind it. Each "operation" event is an operation as JSON;
    // "gap" says that more was missed than is kept, and another "snapshot" follows.
    std::shared_ptr<EventSource> listen(const std::string& last_id);

  private:
    class Listener;
    void look();
    void note(const Operation& operation);
    std::vector<Operation> list_open();
    std::vector<Operation> list_new();
    std::int64_t next_number() const { return first_number_ + static_cast<std::int64_t>(events_.size()); }

    Operations& operations_;
    Clock& clock_;
    const Duration interval_;
    std::mutex mutex_;
    bool looked_ = false;
    Duration last_look_{};
    std::int64_t first_number_ = 1; // of events_.front()
    std::deque<Event> events_;
    std::map<std::string, std::string> open_; // id and last JSON of those that are not over
    std::string newest_;                      // id of the newest that was seen
    std::string name_;                        // of this feed, in front of the numbers of its events
};

} // namespace holdfast::api
