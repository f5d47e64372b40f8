#include "cli/commands/program_words.h"

#include "cli/configuration.h"

#include <filesystem>

namespace holdfast {

namespace {

std::string absolute(const std::string& path) { return std::filesystem::absolute(path).string(); }

} // namespace

std::vector<std::string> program_words(const CommandContext& context, Listener listener) {
    const GlobalOptions& options = context.options();
    std::vector<std::string> words{std::filesystem::read_symlink("/proc/self/exe").string()};
    if (listener == Listener::nobody) words.emplace_back("--quiet");
    const auto add = [&](const char* option, const std::string& value) {
        if (!value.empty()) words.insert(words.end(), {option, value});
    };
    const auto add_path = [&](const char* option, const std::string& path) {
        if (!path.empty()) add(option, absolute(path));
    };
    add_path("--key-file", options.key_file);
    add_path("--private-key", options.private_key);
    // Also the one that was found by itself: another user would find another.
    add_path("--config", context.configuration().file);
    add_path("--cache-directory", options.cache_directory);
    add("--limit-upload", options.limit_upload);
    add("--limit-download", options.limit_download);
    return words;
}

std::vector<std::string> repository_words(const std::string& repository_url) {
    if (repository_url.empty()) return {};
    const bool is_url = repository_url.find("://") != std::string::npos;
    return {"--repo", is_url ? repository_url : absolute(repository_url)};
}

} // namespace holdfast
