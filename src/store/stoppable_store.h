// A store on which every call ends once a stop is requested: for long work that makes many calls.
#pragma once

#include "store/store_decorator.h"

namespace holdfast {

// Gives calls without a stop token of their own that of the work, and refuses with Error(cancelled) to begin
// any of these once the stop was requested; one that had begun may have happened. A call with a token of its
// own is passed on as it is. Thread-safe; `inner` must outlive it.
class StoppableStore final : public StoreDecorator {
  public:
    StoppableStore(Store& inner, std::stop_token stop);

    // Throws Error(cancelled) once the stop was requested.
    void check() const;

  protected:
    void around(StoreCall& call, const std::function<void()>& body) override;

  private:
    const std::stop_token stop_;
};

} // namespace holdfast
