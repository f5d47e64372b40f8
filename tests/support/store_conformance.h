// The one suite that every store and every stack of decorators must pass. Instantiate it with
// INSTANTIATE_TEST_SUITE_P(Label, StoreConformance, testing::Values(StoreMaker{...}), store_label).
#pragma once

#include "base/error.h"
#include "store/store.h"

#include <gtest/gtest.h>

namespace holdfast::test {

struct StoreMaker {
    std::string label;
    // A store with nothing in it, for one test.
    std::function<std::shared_ptr<Store>()> make;
    // What it must be able to do. What is missing here must be refused with Error(unsupported).
    StoreCapabilities expected;
    // An object of this many bytes is put in one call; larger than a part where there are parts.
    std::size_t large_object_bytes = 20 << 20;
    // How many objects the listing of many has; more than a page.
    std::size_t many_objects = 2300;
};

class StoreConformance : public testing::TestWithParam<StoreMaker> {
  protected:
    void SetUp() override;
    void TearDown() override;
    const StoreCapabilities& expected() const { return GetParam().expected; }

    std::shared_ptr<Store> store_;
};

// How GoogleTest shows the parameter.
void PrintTo(const StoreMaker& maker, std::ostream* out);
std::string store_label(const testing::TestParamInfo<StoreMaker>& info);
// Bytes that depend on `seed`, and do not repeat.
Bytes patterned_bytes(std::size_t size, std::uint64_t seed);
// The code of the Error that `body` throws; fails the test when it throws none.
ErrorCode error_code_of(const std::function<void()>& body);
Error thrown_error(const std::function<void()>& body);

} // namespace holdfast::test
