// A store that lets a test act between two steps of another.
#pragma once

#include "store/store_decorator.h"

#include <functional>

namespace holdfast::test {

// Calls `before` ahead of every call, on the thread that makes it.
class HookStore final : public StoreDecorator {
  public:
    using Hook = std::function<void(const StoreCall&)>;
    HookStore(std::shared_ptr<Store> inner, Hook before)
        : StoreDecorator(std::move(inner)), before_(std::move(before)) {}
    using Store::put;

  protected:
    void around(StoreCall& call, const std::function<void()>& body) override {
        before_(call);
        body();
    }

  private:
    Hook before_;
};

} // namespace holdfast::test
