#include "server/server_settings.h"

#include "api/router.h"
#include "base/error.h"
#include "base/form.h"
#include "policy/cron_expression.h"
#include "policy/period.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace holdfast {

namespace {

constexpr std::array<std::string_view, 4> protected_actions{"backups.delete", "retention.shorten",
                                                            "holds.release", "tokens.administer"};
constexpr std::uint64_t most_at_once = 256;
constexpr std::string_view in_state_directory = "sqlite";

std::string absolute_path(Form& form, const char* key) {
    const std::string path = form.text(key).value_or("");
    if (!path.empty() && path[0] != '/') form.fail(key, "must be a path from the root on");
    return path;
}

bool is_database_url(const std::string& text) {
    return text.starts_with("postgresql://") || text.starts_with("postgres://");
}

} // namespace

std::string ServerSettings::catalog_url() const {
    return catalog == in_state_directory ? "sqlite:" + state_directory + "/catalog.db" : catalog;
}

ServerSettings parse_server_settings(std::string_view json, const std::string& default_state_directory) {
    Form form = Form::parse(json, "server");
    ServerSettings settings;
    settings.listen = form.text("listen").value_or(settings.listen);
    settings.state_directory = absolute_path(form, "state_directory");
    if (settings.state_directory.empty()) settings.state_directory = default_state_directory;
    settings.catalog = form.text("catalog").value_or(settings.catalog);
    if (settings.catalog != in_state_directory && !is_database_url(settings.catalog))
        form.fail("catalog", "must be sqlite, or the URL of a PostgreSQL database",
                  "write it as postgresql://user@host/database; the password belongs in ~/.pgpass");
    settings.restore_directory = absolute_path(form, "restore_directory");
    settings.retention = form.text("retention").value_or(settings.retention);
    if (settings.retention != "never")
        form.at("retention", [&] { CronExpression::parse(settings.retention); });
    settings.at_once =
        static_cast<std::uint32_t>(form.number("at_once", 1, most_at_once).value_or(settings.at_once));
    if (const auto patience =
            form.text_as("gap_patience", [](const std::string& text) { return Period::parse(text, {}); }))
        settings.gap_patience = patience->longest();
    settings.certificate = absolute_path(form, "certificate");
    settings.key = absolute_path(form, "key");
    if (settings.certificate.empty() != settings.key.empty())
        form.fail(settings.key.empty() ? "key" : "certificate",
                  "is missing: a certificate and its key go together");
    settings.names = form.texts("names");
    settings.protection = form.text_map("protection");
    for (const auto& [action, protection] : settings.protection) {
        if (std::ranges::find(protected_actions, action) == protected_actions.end())
            form.fail("protection", fmt::format("there is no action '{}'", action),
                      fmt::format("there are {}", fmt::join(protected_actions, ", ")));
        form.at("protection", [&] { api::protection_of(protection); });
    }
    form.expect_no_more();
    return settings;
}

} // namespace holdfast
