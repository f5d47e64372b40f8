// The times that can be recovered, and the gaps between them, as commands print them.
#pragma once

#include "cli/command.h"
#include "postgres/recovery/recovery_window.h"

#include <nlohmann/json.hpp>

namespace holdfast {

nlohmann::json to_json(const postgres::RecoveryWindow& window);
void print_window(const std::string& source, const postgres::RecoveryWindow& window);
nlohmann::json to_json(const postgres::LogFork& fork);
// Where the log of several servers lies, and how to choose one.
void print_forks(std::FILE* stream, const postgres::RecoveryWindow& window);
// The gaps alone, where people read what is wrong.
void print_gaps(std::FILE* stream, const postgres::RecoveryWindow& window);

} // namespace holdfast
