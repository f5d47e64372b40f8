// What happens to operations, for streams of events.
#pragma once

#include "api/event_feed.h"
#include "catalog/operations.h"

#include <string>
#include <vector>

namespace holdfast::api {

// What stands is what is not over; each "operation" event is an operation as JSON. `operations` outlives it.
class OperationFeed final : public EventFeed {
  public:
    OperationFeed(Operations& operations, Clock& clock, Duration interval)
        : EventFeed("operation", clock, interval), operations_(operations) {}

  private:
    void begin() override;
    void follow() override;
    void note(const Operation& operation);
    std::vector<Operation> list_open();
    std::vector<Operation> list_new();

    Operations& operations_;
    std::string newest_; // id of the newest that was seen
};

} // namespace holdfast::api
