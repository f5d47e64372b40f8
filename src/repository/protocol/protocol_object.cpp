#include "repository/protocol/protocol_object.h"

#include "base/error.h"

#include <algorithm>

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

void read_names(const RepositoryContext& context, const std::vector<std::string>& names, NameKind kind,
                std::initializer_list<ObjectKind> kinds, const FolderVisitor& visitor) {
    for (const std::string& name : names) {
        const auto parsed = parse_name(name);
        if (!parsed || parsed->kind != kind) {
            visitor.problem(name,
                            Error(ErrorCode::incompatible, name + ": this program writes no such name"));
            continue;
        }
        // Not in the try: what the store refuses says nothing about the object.
        const std::optional<Bytes> bytes = context.store.get(name, {}, {});
        if (!bytes) continue; // it went since it was listed
        std::optional<OpenedObject> object;
        try {
            object = open_as(context, name, *bytes, kinds);
        } catch (const Error& error) {
            if (error.code() == ErrorCode::wrong_key) {
                visitor.unreadable(name);
            } else if (error.code() == ErrorCode::access_denied &&
                       !knows_writer(context.trust, name, *bytes)) {
                visitor.problem(name, Error(ErrorCode::corrupt, error.message(), error.hint()));
            } else {
                visitor.problem(name, error);
            }
            continue;
        }
        visitor.object(*parsed, std::move(*object));
    }
}

void read_folder(const RepositoryContext& context, std::string_view prefix, NameKind kind,
                 std::initializer_list<ObjectKind> kinds, const FolderVisitor& visitor) {
    read_names(context, list_names(context.store, prefix), kind, kinds, visitor);
}

void put_object(const RepositoryContext& context, const std::string& name, ByteView object) {
    context.store.put(name, object);
}

bool put_deciding(const RepositoryContext& context, const std::string& name, ByteView object,
                  const CallOptions& call) {
    const bool if_absent = context.store.capabilities().put_if_absent;
    const PutOptions options{.only_if_absent = if_absent, .retention = {}, .tier = {}};
    if (context.store.put(name, object, options, call) == PutResult::stored) return true;
    const std::optional<Bytes> taken = context.store.get(name, {}, call);
    return taken && std::ranges::equal(*taken, object);
}

} // namespace holdfast
