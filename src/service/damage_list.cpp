#include "service/damage_list.h"

#include "crypto/hash.h"
#include "repository/ids.h"

namespace holdfast {

namespace {

constexpr std::size_t most_objects = 10'000;

// The name of an object at the beginning of `message`, or nothing.
std::string_view object_named_in(std::string_view message) {
    const std::string_view name = message.substr(0, message.find_first_of(": "));
    return parse_name(name) ? name : std::string_view{};
}

// What an object is called where objects are counted.
std::string_view kind_of(const std::string& object) {
    const std::optional<ObjectName> name = parse_name(object);
    if (!name) return "object";
    switch (name->kind) {
    case NameKind::pack:
        return "pack";
    case NameKind::index_segment:
        return "index segment";
    case NameKind::intent:
        return "intent";
    case NameKind::commit:
        return "commit";
    case NameKind::checkpoint:
        return "checkpoint";
    case NameKind::statement:
        return "statement";
    case NameKind::condemned:
        return "condemned list";
    case NameKind::verdict:
        return "verdict";
    case NameKind::moved:
        return "note of a moved pack";
    default:
        return "object";
    }
}

} // namespace

void ClosedList::add(const std::string& object, const std::string& hint) {
    const auto key = derive_hash<16>("holdfast name of a closed object", as_bytes(object));
    const std::scoped_lock lock(mutex_);
    if (!seen_.insert(key).second) return;
    if (closed_.objects == 0) closed_.hint = hint;
    ++closed_.objects;
    ++closed_.by_kind[std::string(kind_of(object))];
}

ClosedObjects ClosedList::take() {
    const std::scoped_lock lock(mutex_);
    return std::move(closed_);
}

void DamageList::add(const std::string& object, const std::string& what, const std::string& hint) {
    const std::scoped_lock lock(mutex_);
    if (const auto known = found_.find(object); known != found_.end()) {
        ++known->second.more;
    } else if (found_.size() < most_objects) {
        found_.emplace(object, Damage{object, what, hint});
    } else {
        ++uncounted_;
    }
}

std::uint64_t DamageList::objects() const {
    const std::scoped_lock lock(mutex_);
    return found_.size() + uncounted_;
}

std::vector<Damage> DamageList::take() {
    const std::scoped_lock lock(mutex_);
    std::vector<Damage> damages;
    for (auto& [_, damage] : found_) damages.push_back(std::move(damage));
    found_.clear();
    return damages;
}

bool Findings::take(const Error& error, const std::string& object) {
    const std::string_view named = object_named_in(error.message());
    const std::string name = named.empty() ? object : std::string(named);
    switch (error.code()) {
    case ErrorCode::corrupt:
    case ErrorCode::incompatible:
    case ErrorCode::io:
    case ErrorCode::not_found:
    case ErrorCode::access_denied:
        damages.add(name, error.message(), error.hint());
        return true;
    case ErrorCode::wrong_key:
        closed.add(name, error.hint());
        return false;
    case ErrorCode::unavailable:
        if (error.retryable()) throw error;
        unchecked.add(object, error.message(), error.hint());
        return false;
    default:
        throw error;
    }
}

} // namespace holdfast
