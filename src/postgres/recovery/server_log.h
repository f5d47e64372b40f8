// What a server that recovers says, and what can be learnt from it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast::postgres {

// What a server has said since it was started, in a file that it appends to. Its messages are not translated.
class ServerLog {
  public:
    // Begins at the end of what is there.
    explicit ServerLog(std::string path);
    const std::string& path() const { return path_; }

    // Takes what is new; all of it up to 64 MiB. Throws what the system throws.
    const std::string& text();
    // Forgets what was said so far.
    void begin_again();

    // Of what text() has taken.
    bool has(std::string_view what) const { return text_.find(what) != std::string::npos; }
    // The rest of the last line that has `mark`, behind it; empty when none does.
    std::string last_behind(std::string_view mark) const;
    // The last 4000 bytes or so, in whole lines.
    std::string end() const;

  private:
    const std::string path_;
    std::uint64_t begin_ = 0;
    std::string text_;
};

// A setting that a standby needs to be as high as its primary's.
struct LowSetting {
    std::string name;
    std::uint64_t needed = 0;
};
// Those that `log` complains of, each once.
std::vector<LowSetting> low_settings(std::string_view log);

} // namespace holdfast::postgres
