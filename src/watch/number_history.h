// Numbers over time, in the catalog: how a repository grew, when a rule was last tried.
#pragma once

#include "catalog/catalog.h"

#include <optional>
#include <string>
#include <vector>

namespace holdfast {

struct NumberAt {
    Timestamp time{};
    double value = 0;
};

// Thread-safe. Throws what the catalog throws, which must outlive it.
class NumberHistory {
  public:
    explicit NumberHistory(Catalog& catalog) : catalog_(catalog) {}

    // Keeps it, unless the last one of that name is younger than `spacing`.
    void add(const std::string& subject, const std::string& name, const NumberAt& measurement,
             Duration spacing = {});
    // Oldest first.
    std::vector<NumberAt> since(const std::string& subject, const std::string& name, Timestamp from);
    struct Last {
        std::string subject;
        NumberAt measurement;
    };
    // The last one of that name of each subject.
    std::vector<Last> last_of_each(const std::string& name);
    void remove_before(Timestamp time);

  private:
    Catalog& catalog_;
};

} // namespace holdfast
