// The declared policies that are in effect. What is in holdfast.toml takes effect when it was applied.
#pragma once

#include "policy/policy.h"

#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace holdfast {

// Those that the state directory says were applied; nothing when none ever were. Throws Error(corrupt) when
// it cannot be understood.
std::optional<std::vector<Policy>> read_applied_policies(const std::string& state_directory);
// What policies say, whatever their order, as JSON.
std::string policies_text(const std::vector<Policy>& policies);
// Replaces them, durably. A server that runs with this directory takes its file up within a second.
void write_applied_policies(const std::string& state_directory, const std::vector<Policy>& policies);

// The same for the server that has the directory. Thread-safe.
class AppliedPolicies {
  public:
    // With what is declared at start. Where nothing was ever applied, that is; where something else was,
    // retention waits until it is known whether that would let go of anything.
    AppliedPolicies(std::string state_directory, const std::vector<Policy>& declared);

    std::vector<Policy> policies() const;
    // Why nothing may be forgotten by what is declared now; empty: nothing speaks against it.
    std::string waits() const;

    void apply(const std::vector<Policy>& declared);
    // What is declared is not what was applied, and these are the reasons not to do it unasked.
    void wait(const std::vector<std::string>& losses);
    // Reads the directory again when somebody else has applied something; returns whether that was so.
    bool look_again();

  private:
    std::string stamp() const; // of the file

    const std::string state_directory_;
    mutable std::mutex mutex_;
    std::vector<Policy> policies_;
    std::string waits_;
    std::string stamp_;
};

} // namespace holdfast
