#include "cli/configuration.h"

#include "base/error.h"
#include "base/file_descriptor.h"
#include "policy/policy_form.h"
#include "server/server_settings.h"
#include "watch/channels/channel_settings.h"
#include "watch/rule.h"

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <span>
#include <sstream>

#include <fmt/format.h>
#include <toml++/toml.h>
#include <unistd.h>

namespace holdfast {

namespace {

constexpr std::size_t most_bytes = 1u << 20;

// One table of the file, of which every key must be asked for.
class Table {
  public:
    Table(const toml::table& table, std::string name, const std::string& file)
        : table_(table), name_(std::move(name)), file_(file) {}

    void text(const char* key, std::string& out) {
        read<std::string>(key, "a text in quotes", [&](const auto& value) { out = value; });
    }
    void flag(const char* key, bool& out) {
        read<bool>(key, "true or false", [&](bool value) { out = value; });
    }
    void number(const char* key, std::uint32_t most, std::uint32_t& out) {
        const std::string wanted = fmt::format("a whole number up to {}", most);
        read<std::int64_t>(key, wanted.c_str(), [&](std::int64_t value) {
            if (value < 0 || value > most) fail(*table_.get(key), key, wanted.c_str());
            out = static_cast<std::uint32_t>(value);
        });
    }
    void choice(const char* key, std::span<const char* const> words, std::string& out) {
        const std::string wanted = fmt::format("one of {}", fmt::join(words, ", "));
        read<std::string>(key, wanted.c_str(), [&](const std::string& value) {
            if (std::ranges::find(words, value) == words.end()) fail(*table_.get(key), key, wanted.c_str());
            out = value;
        });
    }
    void texts(const char* key, std::vector<std::string>& out) {
        known_.emplace_back(key);
        const toml::node* node = table_.get(key);
        if (node == nullptr) return;
        const toml::array* array = node->as_array();
        if (array == nullptr) fail(*node, key, "a list of texts");
        for (const toml::node& item : *array) {
            const auto* value = item.as_string();
            if (value == nullptr) fail(item, key, "a list of texts");
            out.push_back(value->get());
        }
    }
    void text_map(const char* key, std::map<std::string, std::string>& out) {
        known_.emplace_back(key);
        const toml::node* node = table_.get(key);
        if (node == nullptr) return;
        const toml::table* table = node->as_table();
        if (table == nullptr) fail(*node, key, "a table of texts");
        for (const auto& [name, item] : *table) {
            const auto* value = item.as_string();
            if (value == nullptr) fail(item, key, "a table of texts");
            out[std::string(name.str())] = value->get();
        }
    }
    // Every member of the table `key`, which are tables themselves, by name.
    void tables(const char* key, const std::function<void(const std::string&, Table&)>& read_table) {
        each_table(key, [&](const std::string& name, const toml::table& inner) {
            Table sub(inner, fmt::format("{}{}.{}.", name_, key, name), file_);
            read_table(name, sub);
            sub.expect_no_more();
        });
    }
    // The same as JSON, for what has a form of its own.
    void json_tables(const char* key,
                     const std::function<void(const std::string& name, const std::string& json)>& read_json) {
        each_table(key, [&](const std::string& name, const toml::table& inner) {
            read_as_json(inner, [&](const std::string& json) { read_json(name, json); });
        });
    }
    // The table `key`, likewise; nothing is read when there is none.
    void json_table(const char* key, const std::function<void(const std::string& json)>& read_json) {
        if (const toml::table* inner = inner_table(key)) read_as_json(*inner, read_json);
    }
    bool is_table(const char* key) const {
        const toml::node* node = table_.get(key);
        return node != nullptr && node->is_table();
    }
    void table(const char* key, const std::function<void(Table&)>& read_table) {
        const toml::table* inner = inner_table(key);
        if (inner == nullptr) return;
        Table sub(*inner, name_ + key + ".", file_);
        read_table(sub);
        sub.expect_no_more();
    }
    void expect_no_more() const {
        for (const auto& [key, node] : table_) {
            bool found = false;
            for (const std::string& known : known_) found = found || known == key.str();
            if (!found) {
                throw Error(ErrorCode::usage,
                            fmt::format("{}, line {}: there is no setting '{}{}'", file_,
                                        node.source().begin.line, name_, key.str()),
                            "see holdfast(1), CONFIGURATION, for the names");
            }
        }
    }

  private:
    const toml::table* inner_table(const char* key) {
        known_.emplace_back(key);
        const toml::node* node = table_.get(key);
        if (node == nullptr) return nullptr;
        const toml::table* inner = node->as_table();
        if (inner == nullptr) fail(*node, key, "a table");
        return inner;
    }
    template <typename Read>
    void each_table(const char* key, Read read_table) {
        known_.emplace_back(key);
        const toml::node* node = table_.get(key);
        if (node == nullptr) return;
        const toml::table* outer = node->as_table();
        if (outer == nullptr) fail(*node, key, "a table of tables");
        for (const auto& [name, item] : *outer) {
            const toml::table* inner = item.as_table();
            if (inner == nullptr) fail(item, key, "a table of tables");
            read_table(std::string(name.str()), *inner);
        }
    }
    void read_as_json(const toml::table& table, const std::function<void(const std::string&)>& read_json) {
        std::ostringstream json;
        json << toml::json_formatter(table);
        try {
            read_json(json.str());
        } catch (const Error& error) {
            throw error.with_context(
                fmt::format("{}, the table in line {}", file_, table.source().begin.line));
        }
    }
    template <typename Value, typename Take>
    void read(const char* key, const char* wanted, Take take) {
        known_.emplace_back(key);
        const toml::node* node = table_.get(key);
        if (node == nullptr) return;
        const auto* value = node->as<Value>();
        if (value == nullptr) fail(*node, key, wanted);
        take(value->get());
    }
    [[noreturn]] void fail(const toml::node& node, const char* key, const char* wanted) const {
        throw Error(ErrorCode::usage, fmt::format("{}, line {}: '{}{}' must be {}", file_,
                                                  node.source().begin.line, name_, key, wanted));
    }
    const toml::table& table_;
    std::string name_;
    const std::string& file_;
    std::vector<std::string> known_;
};

constexpr std::array<const char*, 2> source_kinds{"postgresql", kind_of_documents};
constexpr std::array<const char*, 2> tls_versions{"1.2", "1.3"};
constexpr std::uint32_t highest_compression_level = 19;
constexpr std::uint32_t highest_rate_mib = 1u << 20;

void read_documents(Table& table, DocumentsSelection& documents) {
    table.texts("paths", documents.paths);
    table.texts("exclude", documents.exclude);
    table.texts("include", documents.include);
    table.flag("one_file_system", documents.one_file_system);
    table.flag("exclude_caches", documents.exclude_caches);
}

// What is for another kind of source is a setting that there is not.
void read_source(Table& table, SourceConfiguration& source) {
    table.choice("kind", source_kinds, source.kind);
    table.text_map("tags", source.tags);
    if (source.kind == kind_of_documents) {
        read_documents(table, source.documents);
        return;
    }
    table.text("connection", source.connection);
    table.text("data_directory", source.data_directory);
    table.text("spool_directory", source.spool_directory);
    table.text("slot", source.slot);
    table.number("compression_level", highest_compression_level, source.compression_level);
    table.number("rate_limit_mib", highest_rate_mib, source.rate_limit_mib);
}

void read_keys(Table& table, KeyFiles& keys) {
    table.text("key_file", keys.key_file);
    table.text("private_key", keys.private_key);
    table.text("passphrase_file", keys.passphrase_file);
}

// `repository = "URL"`, or a table with the keys beside the URL.
void read_repository(Table& top, Configuration& configuration) {
    if (!top.is_table("repository")) {
        top.text("repository", configuration.repository);
        return;
    }
    top.table("repository", [&](Table& repository) {
        repository.text("url", configuration.repository);
        read_keys(repository, configuration.keys);
    });
}

} // namespace

Configuration parse_configuration(const std::string& text, const std::string& file) {
    toml::table parsed;
    try {
        parsed = toml::parse(text);
    } catch (const toml::parse_error& error) {
        throw Error(ErrorCode::usage,
                    fmt::format("{}, line {}: {}", file, error.source().begin.line, error.description()));
    }
    Configuration configuration;
    configuration.file = file;
    Table top(parsed, "", file);
    read_repository(top, configuration);
    read_keys(top, configuration.keys);
    top.tables("keys", [&](const std::string& url, Table& table) {
        // Anything else would name no repository, and silently be without effect.
        if (!url.starts_with('/') && url.find("://") == std::string::npos) {
            throw Error(ErrorCode::usage, fmt::format("{}: 'keys.{}' names no repository", file, url),
                        "write its URL in quotes: [keys.\"s3://bucket/prefix\"], [keys.\"/mnt/disk\"]");
        }
        read_keys(table, configuration.keys_of[url]);
    });
    top.text("cache_directory", configuration.cache_directory);
    top.text("limit_upload", configuration.limit_upload);
    top.text("limit_download", configuration.limit_download);
    top.table("s3", [&](Table& s3) {
        s3.text("endpoint", configuration.s3.endpoint);
        s3.text("region", configuration.s3.region);
        s3.text("profile", configuration.s3.profile);
        s3.text("ca_file", configuration.s3.ca_file);
        s3.choice("min_tls", tls_versions, configuration.s3.min_tls);
        s3.text("access_key", configuration.s3.access_key);
        s3.text("secret_key_file", configuration.s3.secret_key_file);
    });
    top.table("backup", [&](Table& backup) {
        backup.text("source", configuration.backup.source);
        read_documents(backup, configuration.backup.documents);
        backup.text_map("tags", configuration.backup.tags);
        backup.number("lock_days", most_lock_days, configuration.backup.lock_days);
        backup.choice("lock_mode", lock_modes, configuration.backup.lock_mode);
    });
    top.tables("source", [&](const std::string& name, Table& table) {
        SourceConfiguration& source = configuration.sources[name];
        source.name = name;
        read_source(table, source);
        if (source.kind.empty()) {
            throw Error(ErrorCode::usage, fmt::format("{}: source '{}' has no kind", file, name),
                        "add kind = \"postgresql\" or kind = \"documents\" to it");
        }
        if (source.kind == kind_of_documents && source.documents.paths.empty()) {
            throw Error(ErrorCode::usage, fmt::format("{}: source '{}' has no paths", file, name),
                        "say what is to be backed up: paths = [\"/srv/uploads\"]");
        }
    });
    top.json_tables("policy", [&](const std::string& name, const std::string& json) {
        configuration.policies.push_back(parse_policy(name, json));
    });
    top.json_tables("alert", [&](const std::string& name, const std::string& json) {
        configuration.alerts[name] = parse_rule_settings(name, json);
    });
    top.json_tables("channel", [&](const std::string& name, const std::string& json) {
        configuration.channels.push_back(parse_channel(name, json));
    });
    top.json_tables("checklist", [&](const std::string& name, const std::string& json) {
        configuration.checklists[name] = parse_checklist(name, json);
    });
    top.table("client", [&](Table& client) {
        client.text("server", configuration.client.server);
        client.text("token_file", configuration.client.token_file);
        client.text("ca_file", configuration.client.ca_file);
    });
    top.json_table("server", [&](const std::string& json) {
        parse_server_settings(json, "/");
        configuration.server_json = json;
    });
    top.expect_no_more();
    return configuration;
}

Configuration load_configuration(const std::string& named) {
    std::vector<std::string> candidates;
    if (!named.empty()) {
        candidates = {named};
    } else {
        const char* home = std::getenv("HOME");
        const char* config = std::getenv("XDG_CONFIG_HOME");
        if (config != nullptr && *config == '/') {
            candidates.push_back(fmt::format("{}/holdfast/holdfast.toml", config));
        } else if (home != nullptr && *home == '/') {
            candidates.push_back(fmt::format("{}/.config/holdfast/holdfast.toml", home));
        }
        candidates.emplace_back("/etc/holdfast/holdfast.toml");
    }
    for (const std::string& candidate : candidates) {
        if (named.empty() && ::access(candidate.c_str(), F_OK) != 0) continue;
        const Bytes bytes = read_file(candidate, most_bytes);
        return parse_configuration(std::string(as_text(bytes)), candidate);
    }
    return {};
}

} // namespace holdfast
