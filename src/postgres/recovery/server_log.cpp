#include "postgres/recovery/server_log.h"

#include "base/file_descriptor.h"

#include <algorithm>
#include <charconv>
#include <filesystem>

#include <fcntl.h>

namespace holdfast::postgres {

namespace {

constexpr std::size_t largest_log_bytes = 64u << 20;
constexpr std::size_t told_log_bytes = 4000;

} // namespace

ServerLog::ServerLog(std::string path) : path_(std::move(path)) {
    std::error_code error;
    const auto size = std::filesystem::file_size(path_, error);
    begin_ = error ? 0 : size;
}

const std::string& ServerLog::text() {
    const FileDescriptor file = open_file(path_, O_RDONLY);
    Bytes buffer(65536);
    while (text_.size() < largest_log_bytes) {
        const std::size_t got = read_at(file.get(), begin_ + text_.size(), buffer, path_);
        text_ += as_text(ByteView(buffer).first(got));
        if (got < buffer.size()) break;
    }
    return text_;
}

void ServerLog::begin_again() {
    begin_ += text_.size();
    text_.clear();
}

std::string ServerLog::last_behind(std::string_view mark) const {
    const std::size_t at = text_.rfind(mark);
    if (at == std::string::npos) return {};
    const std::size_t begin = at + mark.size();
    return text_.substr(begin, text_.find('\n', begin) - begin);
}

std::string ServerLog::end() const {
    if (text_.size() <= told_log_bytes) return text_;
    return text_.substr(text_.find('\n', text_.size() - told_log_bytes) + 1);
}

// What the server says is "NAME = 20 is a lower setting than on the primary server, where its value was 50",
// and before 14 the same in brackets.
std::vector<LowSetting> low_settings(std::string_view log) {
    constexpr std::string_view mark = " is a lower setting than on the ", behind = "value was ";
    std::vector<LowSetting> all;
    for (std::size_t at = log.find(mark); at != std::string_view::npos; at = log.find(mark, at + 1)) {
        const std::string_view before = log.substr(0, at);
        const std::size_t equals = before.rfind(" = ");
        const std::size_t value = log.find(behind, at);
        if (equals == std::string_view::npos || value == std::string_view::npos) continue;
        const std::size_t name = before.rfind(' ', equals - 1) + 1;
        LowSetting low{std::string(before.substr(name, equals - name)), 0};
        const std::string_view number = log.substr(value + behind.size());
        std::from_chars(number.data(), number.data() + number.size(), low.needed);
        if (low.needed != 0 && std::ranges::find(all, low.name, &LowSetting::name) == all.end())
            all.push_back(std::move(low));
    }
    return all;
}

} // namespace holdfast::postgres
