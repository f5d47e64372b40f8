#include "documents/owner_names.h"

#include <cerrno>
#include <vector>

#include <grp.h>
#include <pwd.h>

namespace holdfast {

namespace {

constexpr std::size_t largest_record_bytes = 1U << 24U; // a group of a million members still fits

// Runs a get…_r function with a buffer that grows until the record fits. `found` is null when there is no
// record.
template <typename Record, typename Lookup>
bool look_up(Record& record, Record*& found, std::vector<char>& buffer, const Lookup& lookup) {
    for (buffer.resize(1024); buffer.size() <= largest_record_bytes; buffer.resize(buffer.size() * 4)) {
        int error_number = 0;
        do {
            found = nullptr;
            error_number = lookup(&record, buffer.data(), buffer.size(), &found);
        } while (error_number == EINTR);
        if (error_number == ERANGE) continue;
        // Some name services answer "no such name" with these instead of success without a record.
        return error_number == 0 || error_number == ENOENT || error_number == ESRCH;
    }
    return false;
}

} // namespace

std::string OwnerNames::user_name(std::uint32_t uid) {
    const std::scoped_lock lock(mutex_);
    if (const auto known = user_names_.find(uid); known != user_names_.end()) return known->second;
    passwd record{};
    passwd* found = nullptr;
    std::vector<char> buffer;
    const bool answered =
        look_up(record, found, buffer, [&](passwd* into, char* space, std::size_t size, passwd** result) {
            return ::getpwuid_r(uid, into, space, size, result);
        });
    std::string name = found != nullptr ? found->pw_name : "";
    if (answered) user_names_.emplace(uid, name);
    return name;
}

std::string OwnerNames::group_name(std::uint32_t gid) {
    const std::scoped_lock lock(mutex_);
    if (const auto known = group_names_.find(gid); known != group_names_.end()) return known->second;
    group record{};
    group* found = nullptr;
    std::vector<char> buffer;
    const bool answered =
        look_up(record, found, buffer, [&](group* into, char* space, std::size_t size, group** result) {
            return ::getgrgid_r(gid, into, space, size, result);
        });
    std::string name = found != nullptr ? found->gr_name : "";
    if (answered) group_names_.emplace(gid, name);
    return name;
}

std::optional<std::uint32_t> OwnerNames::user_id(const std::string& name) {
    const std::scoped_lock lock(mutex_);
    if (const auto known = user_ids_.find(name); known != user_ids_.end()) return known->second;
    passwd record{};
    passwd* found = nullptr;
    std::vector<char> buffer;
    const bool answered =
        look_up(record, found, buffer, [&](passwd* into, char* space, std::size_t size, passwd** result) {
            return ::getpwnam_r(name.c_str(), into, space, size, result);
        });
    std::optional<std::uint32_t> id;
    if (found != nullptr) id = found->pw_uid;
    if (answered) user_ids_.emplace(name, id);
    return id;
}

std::optional<std::uint32_t> OwnerNames::group_id(const std::string& name) {
    const std::scoped_lock lock(mutex_);
    if (const auto known = group_ids_.find(name); known != group_ids_.end()) return known->second;
    group record{};
    group* found = nullptr;
    std::vector<char> buffer;
    const bool answered =
        look_up(record, found, buffer, [&](group* into, char* space, std::size_t size, group** result) {
            return ::getgrnam_r(name.c_str(), into, space, size, result);
        });
    std::optional<std::uint32_t> id;
    if (found != nullptr) id = found->gr_gid;
    if (answered) group_ids_.emplace(name, id);
    return id;
}

} // namespace holdfast
