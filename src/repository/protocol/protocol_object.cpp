#include "repository/protocol/protocol_object.h"

#include "base/at_once.h"
#include "base/error.h"
#include "repository/protocol/object_cache.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <set>

#include <fmt/format.h>

namespace holdfast {

std::vector<std::string> list_names(Store& store, std::string_view prefix, const CallOptions& call) {
    std::vector<std::string> names;
    store.list(
        std::string(prefix), "",
        [&](const ObjectInfo& info) {
            names.push_back(info.name);
            return true;
        },
        call);
    return names;
}

namespace {

OpenedObject open_as(const RepositoryContext& context, const std::string& name, ByteView bytes,
                     std::initializer_list<ObjectKind> kinds) {
    OpenedObject object = open_object(name, bytes, context.keys, context.trust);
    if (std::ranges::find(kinds, object.kind) == kinds.end()) {
        throw Error(ErrorCode::corrupt, fmt::format("{} holds a {}", name, to_string(object.kind)));
    }
    return object;
}

// Whether it is settled what the writer of an object may do. If it is not, his key slot may be damaged, or
// new.
bool knows_writer(const Trust& trust, const std::string& name, ByteView bytes) {
    const SlotId writer = read_object_header(name, bytes).writer;
    return trust.active(writer) != nullptr || trust.revocation(writer) != nullptr;
}

} // namespace

std::optional<OpenedObject> read_protocol_object(const RepositoryContext& context, const std::string& name,
                                                 std::initializer_list<ObjectKind> kinds) {
    const std::optional<Bytes> bytes = context.store.get(name, {}, {});
    if (!bytes) return std::nullopt;
    return open_as(context, name, *bytes, kinds);
}

namespace {

// So many are in memory at a time, and so many bytes of them as they are listed; at least one.
constexpr std::size_t read_together = 64;
constexpr std::uint64_t read_together_bytes = 16 << 20;
// Of an object whose size was not asked for.
constexpr std::uint64_t expected_bytes = 256 << 10;

// How many of `listed` to read together next.
std::size_t next_batch(std::span<const ObjectInfo> listed) {
    std::size_t count = 0;
    for (std::uint64_t bytes = 0; count < std::min(read_together, listed.size()); ++count) {
        bytes += listed[count].size_bytes > 0 ? listed[count].size_bytes : expected_bytes;
        if (count > 0 && bytes > read_together_bytes) break;
    }
    return count;
}

// Few machines read what others are: of these there are many, and all are read again and again.
bool is_kept(const std::string& name) {
    return name.starts_with(commits_prefix) || name.starts_with(statements_prefix);
}

ReadObject opened(const RepositoryContext& context, const std::string& name, std::optional<Bytes> bytes,
                  std::initializer_list<ObjectKind> kinds) {
    ReadObject read{.bytes = std::move(bytes), .object = {}, .error = {}};
    if (!read.bytes) return read;
    try {
        read.object = open_as(context, name, *read.bytes, kinds);
    } catch (const Error& error) {
        read.error = error;
    }
    return read;
}

// Its writer signed these bytes, whether this holder can read them or not.
bool is_authentic(const ReadObject& read) {
    return read.object || (read.error && read.error->code() == ErrorCode::wrong_key);
}

void read_batch(const RepositoryContext& context, ObjectCache* cache, std::span<const ObjectInfo> listed,
                std::initializer_list<ObjectKind> kinds,
                const std::function<void(const std::string& name, ReadObject)>& visit) {
    std::map<std::string, std::optional<Bytes>> found;
    if (cache != nullptr)
        for (auto& [name, bytes] : cache->find(listed)) found.emplace(name, std::move(bytes));
    std::vector<std::string> asked;
    for (const ObjectInfo& info : listed)
        if (!found.contains(info.name)) asked.push_back(info.name);
    std::mutex mutex;
    for_each_at_once(asked, context.requests_at_once, {},
                     [&](const std::string& name, const std::stop_token&) {
                         // Without a token of its own: a store that is to be stopped has one.
                         std::optional<Bytes> bytes = context.store.get(name, {}, {});
                         const std::scoped_lock lock(mutex);
                         found.emplace(name, std::move(bytes));
                     });
    const std::set<std::string> of_store(asked.begin(), asked.end());
    std::vector<ObjectCache::Object> fresh;
    for (const ObjectInfo& info : listed) {
        bool is_fresh = of_store.contains(info.name);
        ReadObject read = opened(context, info.name, std::move(found.at(info.name)), kinds);
        if (!is_fresh && !is_authentic(read)) {
            // The store's word counts, not that of a local file.
            is_fresh = true;
            read = opened(context, info.name, context.store.get(info.name, {}, {}), kinds);
        }
        if (cache != nullptr && is_fresh && is_authentic(read)) fresh.push_back({info, *read.bytes});
        visit(info.name, std::move(read));
    }
    if (cache != nullptr) cache->add(fresh);
}

} // namespace

void read_each(const RepositoryContext& context, std::span<const ObjectInfo> listed,
               std::initializer_list<ObjectKind> kinds,
               const std::function<void(const std::string& name, ReadObject)>& visit) {
    ObjectCache* const cache = !listed.empty() && is_kept(listed.front().name) ? context.cache : nullptr;
    while (!listed.empty()) {
        const std::size_t count = next_batch(listed);
        read_batch(context, cache, listed.first(count), kinds, visit);
        listed = listed.subspan(count);
    }
}

void read_listed(const RepositoryContext& context, const std::vector<ObjectInfo>& listed, NameKind kind,
                 std::initializer_list<ObjectKind> kinds, const FolderVisitor& visitor) {
    std::vector<ObjectInfo> of_kind;
    for (const ObjectInfo& info : listed) {
        const auto parsed = parse_name(info.name);
        if (parsed && parsed->kind == kind) {
            of_kind.push_back(info);
        } else {
            visitor.problem(info.name,
                            Error(ErrorCode::incompatible, info.name + ": this program writes no such name"));
        }
    }
    read_each(context, of_kind, kinds, [&](const std::string& name, ReadObject read) {
        if (read.object) {
            visitor.object(*parse_name(name), *std::move(read.object));
        } else if (!read.error) {
            return; // it went since it was listed
        } else if (read.error->code() == ErrorCode::wrong_key) {
            visitor.unreadable(name);
        } else if (read.error->code() == ErrorCode::access_denied &&
                   !knows_writer(context.trust, name, *read.bytes)) {
            visitor.problem(name, Error(ErrorCode::corrupt, read.error->message(), read.error->hint()));
        } else {
            visitor.problem(name, *read.error);
        }
    });
}

void read_names(const RepositoryContext& context, const std::vector<std::string>& names, NameKind kind,
                std::initializer_list<ObjectKind> kinds, const FolderVisitor& visitor) {
    std::vector<ObjectInfo> listed(names.size());
    for (std::size_t i = 0; i < names.size(); ++i) listed[i].name = names[i];
    read_listed(context.without_cache(), listed, kind, kinds, visitor);
}

void read_folder(const RepositoryContext& context, std::string_view prefix, NameKind kind,
                 std::initializer_list<ObjectKind> kinds, const FolderVisitor& visitor) {
    read_listed(context.without_cache(), context.store.list_all(std::string(prefix)), kind, kinds, visitor);
}

void put_object(const RepositoryContext& context, const std::string& name, ByteView object) {
    context.store.put(name, object);
}

bool put_deciding(const RepositoryContext& context, const std::string& name, ByteView object,
                  const CallOptions& call) {
    const bool if_absent = context.store.capabilities().put_if_absent;
    const PutOptions options{.only_if_absent = if_absent, .retention = {}, .tier = {}};
    if (context.store.put(name, object, options, call) == PutResult::stored) return true;
    if (!context.steps.compare_taken) return true;
    const std::optional<Bytes> taken = context.store.get(name, {}, call);
    return taken && std::ranges::equal(*taken, object);
}

} // namespace holdfast
