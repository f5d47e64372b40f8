#include "cli/commands/source_option.h"

#include "base/error.h"
#include "crypto/hash.h"
#include "postgres/receive/receive_wal.h"

#include <algorithm>
#include <cstdlib>

#include <fmt/format.h>

namespace holdfast {

SourceConfiguration source_named(const CommandContext& context, const std::string& name,
                                 std::string_view kind) {
    const auto& sources = context.configuration().sources;
    const auto found = sources.find(name);
    if (found == sources.end()) {
        SourceConfiguration source;
        source.name = name;
        source.kind = kind;
        return source;
    }
    if (found->second.kind != kind) {
        throw Error(ErrorCode::usage,
                    fmt::format("source '{}' is no {} source but {}", name, kind, found->second.kind),
                    "see [source." + name + "] in " + context.configuration().file);
    }
    return found->second;
}

std::string spool_directory_of(const CommandContext& context, const SourceConfiguration& source,
                               const std::string& repository_url) {
    const std::string& url = repository_url.empty() ? context.configuration().repository : repository_url;
    const std::string both = url + '\n' + source.name;
    const std::string own = derive_hash<8>("holdfast spool directory 1", as_bytes(both)).hex();
    // Below a configured one too: what was noted of one repository is not true of another.
    if (!source.spool_directory.empty()) return fmt::format("{}/{}", source.spool_directory, own);
    try {
        return fmt::format("{}/{}", state_directory_of_user(), own);
    } catch (const Error&) {
        throw Error(ErrorCode::usage, "there is no place for what waits",
                    fmt::format("set spool_directory below [source.{}], or HOME", source.name));
    }
}

std::vector<MeasuredSource> measured_sources(const CommandContext& context,
                                             const std::map<std::string, SourceConfiguration>& of,
                                             const std::string& repository_url) {
    std::vector<MeasuredSource> sources;
    for (const auto& [name, source] : of) {
        MeasuredSource measured{.name = name, .kind = source.kind, .connection = source.connection};
        if (source.kind != kind_of_documents) {
            measured.slot = source.slot;
            measured.data_directory = source.data_directory;
            try {
                measured.receive_state =
                    postgres::receive_state_path(spool_directory_of(context, source, repository_url));
            } catch (const Error&) {
                measured.receive_state.clear(); // it has no place here, or is another user's
            }
        }
        sources.push_back(std::move(measured));
    }
    return sources;
}

std::string state_directory_of_user() {
    if (const char* state = std::getenv("XDG_STATE_HOME"); state != nullptr && *state == '/')
        return fmt::format("{}/holdfast", state);
    if (const char* home = std::getenv("HOME"); home != nullptr && *home == '/')
        return fmt::format("{}/.local/state/holdfast", home);
    throw Error(ErrorCode::usage, "there is no place for what is remembered", "set HOME");
}

} // namespace holdfast
