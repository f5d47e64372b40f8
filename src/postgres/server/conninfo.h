// Connection strings as libpq takes them, taken apart.
#pragma once

#include <map>
#include <string>

namespace holdfast::postgres {

// By keyword, of both forms ("host=… dbname=…" and "postgresql://…"): what it says, and nothing that is only
// a default. Throws Error(usage) for what is neither.
std::map<std::string, std::string> parse_conninfo(const std::string& conninfo);

// "keyword=value …", quoted where needed.
std::string to_conninfo(const std::map<std::string, std::string>& values);

} // namespace holdfast::postgres
