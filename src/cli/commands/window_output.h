// The times that can be recovered, and the gaps between them, as people read them.
#pragma once

#include "postgres/recovery/recovery_window.h"

#include <cstdio>
#include <string>

namespace holdfast {

void print_window(const std::string& source, const postgres::RecoveryWindow& window);
// Where the log of several servers lies, and how to choose one.
void print_forks(std::FILE* stream, const postgres::RecoveryWindow& window);
// The gaps alone, where people read what is wrong.
void print_gaps(std::FILE* stream, const postgres::RecoveryWindow& window);

} // namespace holdfast
