// What commands share that are done at a server.
#pragma once

#include "cli/command.h"
#include "client/api_client.h"

#include <functional>
#include <string>
#include <vector>

namespace holdfast {

// Prints the result of a command, its JSON value, as the command does here, and returns its exit code.
using TellResult = std::function<int(CommandContext&, const nlohmann::json& result)>;

// Has the server begin an operation by `change`, and follows it to its end; with --detach, prints its
// id. The exit code is that of the command here. Where a second person must approve first, that is told.
// What the operation failed with is thrown.
int work_at_server(CommandContext& context, const ApiChange& change, const TellResult& tell);
// The same by a POST to `path`.
int work_at_server(CommandContext& context, const std::string& path, const nlohmann::json& request,
                   const TellResult& tell);

// What the server knows of the snapshot that `name` means: an id, or the beginning of one. Throws
// Error(usage) when there is none, as it is here.
nlohmann::json snapshot_at_server(CommandContext& context, const std::string& name);

// Follows an operation that is there. After SIGINT the operation goes on: Error(cancelled) says how to come
// back to it and how to end it.
int follow_at_server(CommandContext& context, const std::string& id, const TellResult& tell);

// Prints what came of an operation that is over.
int tell_operation(CommandContext& context, const nlohmann::json& operation, const TellResult& tell);

// A change whose answer may be that it waits for another person's approval: that is told, and the exit code
// is 3. `tell` is for the other answers.
int change_at_server(CommandContext& context, const ApiChange& change, const TellResult& tell);

// Refuses by name what was typed of a command's options, but for those named: they mean nothing at a server.
void refuse_options_but(const CLI::App& command, const std::vector<std::string>& known);

// The text of a request. Throws Error(usage) when something that was typed is not UTF-8: it would arrive as
// something else.
std::string request_text(const nlohmann::json& request);

// Sets `member` of a request when `text` is not empty.
void set_unless_empty(nlohmann::json& request, const char* member, const std::string& text);

} // namespace holdfast
