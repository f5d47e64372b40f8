// Texts that are kept where others may read, and that only who shows the same secret again can open.
#pragma once

#include "base/random.h"

#include <optional>
#include <string>
#include <string_view>

namespace holdfast {

// `text`, encrypted (AES-256-GCM) under a key of its own, which is derived (HKDF-SHA-256) from `secret`, a
// fresh salt and `purpose`. `secret` must be hard to guess: nothing slows guesses down. In base64.
std::string seal_text(std::string_view secret, std::string_view purpose, std::string_view text,
                      Random& random);
// Nothing when it was sealed under another secret or for another purpose, or has been changed.
std::optional<std::string> open_text(std::string_view secret, std::string_view purpose,
                                     std::string_view sealed);

} // namespace holdfast
