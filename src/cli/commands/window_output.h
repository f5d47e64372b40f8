// The times that can be recovered, and the gaps between them, as people read them.
#pragma once

#include <cstdio>
#include <string>

#include <nlohmann/json.hpp>

namespace holdfast {

// All from the JSON of a window (service/window_json.h).
void print_window(const std::string& source, const nlohmann::json& window);
// Where the log of several servers lies, and how to choose one.
void print_forks(std::FILE* stream, const nlohmann::json& window);
// What policies have let go between snapshots.
void print_released(std::FILE* stream, const nlohmann::json& window);
// The gaps alone, where people read what is wrong.
void print_gaps(std::FILE* stream, const nlohmann::json& window);

} // namespace holdfast
