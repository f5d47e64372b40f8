// A notice as people read it.
#pragma once

#include "watch/outbox.h"

#include <string>

namespace holdfast {

// One line: "[P1] Backup failed: orders". Never with a line break in it.
std::string notice_subject(const Notice& notice);
// What happened, since when, where, and what to do.
std::string notice_text(const Notice& notice);
// `text` without what is not UTF-8, and at most `limit_bytes` long; not cut within a character.
std::string bounded_utf8(std::string_view text, std::size_t limit_bytes);

} // namespace holdfast
