// Putting and reading the small objects of the protocol.
#pragma once

#include "base/error.h"
#include "repository/object.h"
#include "repository/protocol/context.h"

#include <functional>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast {

// The names under `prefix`, ascending. For folders that stay small: whole lists are held in memory.
std::vector<std::string> list_names(Store& store, std::string_view prefix, const CallOptions& call = {});

// The object under `name`, with all of its checks passed; nothing when there is none. Throws as open_object,
// and Error(corrupt) when it is none of `kinds`.
std::optional<OpenedObject> read_protocol_object(const RepositoryContext& context, const std::string& name,
                                                 std::initializer_list<ObjectKind> kinds);

// What was found under a name.
struct ReadObject {
    std::optional<Bytes> bytes; // as it lies in the store; nothing: it is gone
    std::optional<OpenedObject> object;
    std::optional<Error> error; // why it cannot be opened
};
// The objects that were listed, in their order, as read_protocol_object reads one: some requests at a time,
// and commits and statements from the local cache where they are there as they were listed. Errors of the
// store, and what `visit` throws, pass through.
void read_each(const RepositoryContext& context, std::span<const ObjectInfo> listed,
               std::initializer_list<ObjectKind> kinds,
               const std::function<void(const std::string& name, ReadObject)>& visit);

// How the objects of a folder are read. An object that is damaged (Error(corrupt), Error(incompatible)) or
// whose writer may not have written it (Error(access_denied)) goes to `problem`; one that this ring has no
// key for to `unreadable`. A writer of whom nothing is known, neither enrolled nor removed, makes an object
// count as damaged: if his key slot was lost, what he wrote must not pass for nothing. Errors of the store,
// and what a visitor throws, pass through.
struct FolderVisitor {
    std::function<void(const ObjectName&, OpenedObject)> object;
    std::function<void(const std::string& name, const Error&)> problem;
    std::function<void(const std::string& name)> unreadable = [](const std::string&) {};
};
// Reads the objects that were listed, whose names must be of `kind`; those that are gone are passed over.
void read_listed(const RepositoryContext& context, const std::vector<ObjectInfo>& listed, NameKind kind,
                 std::initializer_list<ObjectKind> kinds, const FolderVisitor& visitor);
// The same for some names, without the local cache.
void read_names(const RepositoryContext& context, const std::vector<std::string>& names, NameKind kind,
                std::initializer_list<ObjectKind> kinds, const FolderVisitor& visitor);
// The same for all that there is under `prefix`.
void read_folder(const RepositoryContext& context, std::string_view prefix, NameKind kind,
                 std::initializer_list<ObjectKind> kinds, const FolderVisitor& visitor);

// Puts an object whose name is used for these bytes only.
void put_object(const RepositoryContext& context, const std::string& name, ByteView object);
// Puts an object whose name decides something. True when these bytes are under it now, by this call or by one
// before it whose answer was lost; false when something else is. Stores without put-if-absent have no
// collectors that could take the name: there it is simply put.
bool put_deciding(const RepositoryContext& context, const std::string& name, ByteView object,
                  const CallOptions& call = {});

} // namespace holdfast
