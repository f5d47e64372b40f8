#include "server/applied_policies.h"

#include "base/error.h"
#include "base/file_descriptor.h"
#include "policy/policy_change.h"
#include "policy/policy_form.h"
#include "service/policy_plan.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>

namespace holdfast {

namespace {

constexpr std::size_t most_bytes = 8u << 20;

std::string file_of(const std::string& state_directory) { return state_directory + "/policies.json"; }

} // namespace

std::optional<std::vector<Policy>> read_applied_policies(const std::string& state_directory) {
    const std::string file = file_of(state_directory);
    struct stat status{};
    if (::stat(file.c_str(), &status) != 0) {
        if (errno == ENOENT || errno == ENOTDIR) return std::nullopt;
        throw system_error(errno, file);
    }
    const Bytes bytes = read_file(file, most_bytes);
    const auto json = nlohmann::json::parse(as_text(bytes), nullptr, false);
    if (!json.is_object())
        throw Error(ErrorCode::corrupt, fmt::format("{}: it is not what was written there", file),
                    "'holdfast apply' writes it anew");
    std::vector<Policy> policies;
    try {
        for (const auto& [name, body] : json.items()) policies.push_back(parse_policy(name, body.dump()));
    } catch (const Error& error) {
        throw Error(ErrorCode::corrupt, fmt::format("{}: {}", file, error.message()),
                    "'holdfast apply' writes it anew");
    }
    return policies;
}

std::string policies_text(const std::vector<Policy>& policies) {
    nlohmann::json json = nlohmann::json::object();
    for (const Policy& policy : policies) json[policy.name] = nlohmann::json::parse(policy_json(policy));
    return json.dump(1) + "\n";
}

void write_applied_policies(const std::string& state_directory, const std::vector<Policy>& policies) {
    const std::string text = policies_text(policies);
    write_file_durably(file_of(state_directory), as_bytes(text));
}

AppliedPolicies::AppliedPolicies(std::string state_directory, const std::vector<Policy>& declared)
    : state_directory_(std::move(state_directory)) {
    std::optional<std::vector<Policy>> applied;
    try {
        applied = read_applied_policies(state_directory_);
    } catch (const Error& error) {
        waits_ = error.message();
        stamp_ = stamp();
        return;
    }
    if (!applied || policy_changes(*applied, declared).empty()) {
        apply(declared);
        return;
    }
    policies_ = std::move(*applied);
    waits_ = "holdfast.toml was changed since its policies were applied, and the repository has not been "
             "looked at yet";
    stamp_ = stamp();
}

std::vector<Policy> AppliedPolicies::policies() const {
    const std::scoped_lock lock(mutex_);
    return policies_;
}

std::string AppliedPolicies::waits() const {
    const std::scoped_lock lock(mutex_);
    return waits_;
}

void AppliedPolicies::apply(const std::vector<Policy>& declared) {
    const std::scoped_lock lock(mutex_);
    write_applied_policies(state_directory_, declared);
    policies_ = declared;
    waits_.clear();
    stamp_ = stamp();
}

void AppliedPolicies::wait(const std::vector<std::string>& losses) {
    const std::scoped_lock lock(mutex_);
    waits_ = "holdfast.toml keeps less than what was applied: " + losses_text(losses);
}

bool AppliedPolicies::look_again() {
    const std::scoped_lock lock(mutex_);
    const std::string now = stamp();
    if (now == stamp_) return false;
    stamp_ = now;
    auto applied = read_applied_policies(state_directory_);
    if (!applied) return false;
    policies_ = std::move(*applied);
    return true;
}

std::string AppliedPolicies::stamp() const {
    struct stat status{};
    if (::stat(file_of(state_directory_).c_str(), &status) != 0) return {};
    return fmt::format("{} {} {}", status.st_ino, status.st_mtim.tv_sec, status.st_mtim.tv_nsec);
}

} // namespace holdfast
