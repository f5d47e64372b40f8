// holdfast.toml: what need not be typed.
#pragma once

#include "policy/checklist.h"
#include "policy/policy.h"
#include "watch/channels/channel_settings.h"
#include "watch/rule.h"

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace holdfast {

// A hundred years.
inline constexpr std::uint32_t most_lock_days = 36'500;
// As an option and in the file.
inline constexpr std::array<const char*, 2> lock_modes{"governance", "compliance"};

// What of the file trees is backed up.
struct DocumentsSelection {
    std::vector<std::string> paths, exclude, include;
    bool one_file_system = false;
    bool exclude_caches = false;
};

inline constexpr const char* kind_of_documents = "documents";

// A source that is named in the file, [source.NAME].
struct SourceConfiguration {
    std::string name;
    std::string kind; // "postgresql" or "documents"
    DocumentsSelection documents;
    std::string connection;      // as libpq takes it
    std::string data_directory;  // where it can be read from here; empty: over the replication protocol
    std::string spool_directory; // what waits for the repository, or for PostgreSQL
    std::string slot;            // the replication slot that the log is received through
    std::uint32_t compression_level = 0;     // 0: the default
    std::uint32_t rate_limit_mib = 0;        // of reading, a second; 0: none
    std::map<std::string, std::string> tags; // of its snapshots; win over those below [backup]
};

// A file with a key: one of the three, or none.
struct KeyFiles {
    std::string key_file, private_key, passphrase_file;
};

// Absent members are empty. Command line and environment win over the file.
struct Configuration {
    std::string file; // where it came from; empty: there is none
    std::string repository;
    KeyFiles keys;
    std::map<std::string, KeyFiles> keys_of; // [keys."URL"]: of a repository that has its own
    std::string cache_directory;
    std::string limit_upload;
    std::string limit_download;
    struct S3 {
        std::string endpoint, region, profile, ca_file, min_tls, access_key, secret_key_file;
    } s3;
    struct Backup {
        std::string source;
        DocumentsSelection documents;
        std::map<std::string, std::string> tags;
        std::uint32_t lock_days = 0; // 0: no lock
        std::string lock_mode;       // one of lock_modes; empty: governance
    } backup;
    std::map<std::string, SourceConfiguration> sources;
    std::vector<Policy> policies;                               // [policy.NAME], by name
    std::map<std::string, RuleSettings, std::less<>> alerts;    // [alert.RULE]
    std::vector<ChannelSettings> channels;                      // [channel.NAME], by name
    std::map<std::string, std::optional<Checklist>> checklists; // [checklist.NAME]; nothing: it is off
    // [client]: a server that commands are carried out at.
    struct Client {
        std::string server, token_file, ca_file;
    } client;
    std::string server_json = "{}"; // [server], for server/server_settings.h
};

// Reads `named`, or if it is empty the first that exists of ~/.config/holdfast/holdfast.toml and
// /etc/holdfast/holdfast.toml. Throws Error(usage) with line and key for what it does not understand, so that
// a mistyped name is not silently without effect.
Configuration load_configuration(const std::string& named);
// The same from text, for tests. `file` is for messages.
Configuration parse_configuration(const std::string& text, const std::string& file);

} // namespace holdfast
