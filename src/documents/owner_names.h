// Names of users and groups, looked up once each.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

namespace holdfast {

// Asks the system (getpwuid_r and its siblings, so also LDAP and others that are configured there) and
// remembers every answer, "unknown" among them, for the object's life. Thread-safe. A look-up that fails
// counts as unknown and is not remembered: numbers are kept beside names everywhere.
class OwnerNames {
  public:
    // The name; empty when the number has none.
    std::string user_name(std::uint32_t uid);
    std::string group_name(std::uint32_t gid);
    // The number; nothing when the name is unknown here.
    std::optional<std::uint32_t> user_id(const std::string& name);
    std::optional<std::uint32_t> group_id(const std::string& name);

  private:
    std::mutex mutex_;
    std::unordered_map<std::uint32_t, std::string> user_names_;
    std::unordered_map<std::uint32_t, std::string> group_names_;
    std::unordered_map<std::string, std::optional<std::uint32_t>> user_ids_;
    std::unordered_map<std::string, std::optional<std::uint32_t>> group_ids_;
};

} // namespace holdfast
