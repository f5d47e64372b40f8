#include "policy/policy_form.h"

#include "base/error.h"
#include "base/form.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace holdfast {

using Json = nlohmann::ordered_json;

namespace {

constexpr std::array<std::string_view, 3> backup_types{"auto", "full", "incremental"};
// At the beginning of a window instead of somewhere in it.
constexpr const char* no_jitter = "0s";
constexpr std::uint32_t most_kept = 100'000;
constexpr std::uint64_t most_bytes = 1ull << 60;

std::optional<Period> read_period(Form& form, const char* key) {
    return form.text_as(key, [](const std::string& text) { return Period::parse(text, {}); });
}

std::optional<Duration> read_duration(Form& form, const char* key) {
    const auto period = read_period(form, key);
    if (!period) return std::nullopt;
    if (period->months != 0) form.fail(key, "must not be in months or years");
    return std::chrono::seconds(period->seconds);
}

std::optional<KeepFor> read_keep_for(Form& form, const char* key) {
    if (form.is_number(key)) return static_cast<std::uint32_t>(*form.number(key, 1, most_kept));
    const auto period = read_period(form, key);
    return period ? std::optional<KeepFor>(*period) : std::nullopt;
}

RetentionRules read_rules(Form& form) {
    RetentionRules rules;
    if (const auto last = form.number("last", 1, most_kept)) rules.last = static_cast<std::uint32_t>(*last);
    rules.within = read_period(form, "within");
    rules.hourly = read_keep_for(form, "hourly");
    rules.daily = read_keep_for(form, "daily");
    rules.weekly = read_keep_for(form, "weekly");
    rules.monthly = read_keep_for(form, "monthly");
    rules.yearly = read_keep_for(form, "yearly");
    return rules;
}

// Of `cron`, `window` and `every` exactly one.
Schedule::Rhythm read_rhythm(Form& form) {
    const auto cron =
        form.text_as("cron", [](const std::string& text) { return CronExpression::parse(text); });
    const auto window =
        form.text_as("window", [](const std::string& text) { return WeeklyWindow::parse(text, {}); });
    const auto every = read_duration(form, "every");
    if (int{cron.has_value()} + int{window.has_value()} + int{every.has_value()} != 1) {
        form.fail("cron", "exactly one of cron, window and every says when it runs",
                  "as cron = \"30 2 * * *\", window = \"02:00-03:00\" or every = \"15min\"");
    }
    if (cron) return *cron;
    if (window) return *window;
    return Schedule::Every{*every};
}

// What all plans have; the name is `fallback` unless one is given.
template <typename Plan>
Plan read_plan(Form& form, const TimeZone& zone, std::string fallback) {
    Plan plan{.name = form.text("name", 100).value_or(std::move(fallback)), .rhythm = read_rhythm(form)};
    plan.jitter = form.text("jitter") == no_jitter ? Duration::zero() : read_duration(form, "jitter");
    form.at("jitter", [&] { return Schedule(plan.rhythm, zone, plan.name, plan.jitter); });
    return plan;
}

BackupPlan read_backup(Form& form, const TimeZone& zone) {
    auto plan = read_plan<BackupPlan>(form, zone, "backup");
    if (const auto type = form.text("type")) {
        if (std::ranges::find(backup_types, *type) == backup_types.end())
            form.fail("type", "must be one of auto, full, incremental");
        plan.type = *type;
    }
    plan.class_name = form.text("class", 100).value_or("");
    plan.keep = read_period(form, "keep");
    plan.time_limit = read_duration(form, "time_limit").value_or(Duration::zero());
    plan.catch_up = form.flag("catch_up").value_or(true);
    plan.tags = form.text_map("tags");
    for (const char* reserved : {"class", "expires"})
        if (plan.tags.contains(reserved))
            form.fail("tags", fmt::format("'{}' has a setting of its own", reserved), "use class and keep");
    form.expect_no_more();
    return plan;
}

// "structure", "all", or a percentage above 0 and up to 100.
bool is_depth(const std::string& text) {
    if (text == "structure" || text == "all") return true;
    if (text.size() < 2 || text.size() > 4 || text.back() != '%' || text[0] == '0') return false;
    const std::string_view digits(text.data(), text.size() - 1);
    if (digits.find_first_not_of("0123456789") != std::string_view::npos) return false;
    return digits.size() < 3 || digits == "100";
}

VerificationPlan read_verification(Form& form, const TimeZone& zone) {
    auto plan = read_plan<VerificationPlan>(form, zone, "verify");
    plan.depth = form.text("depth").value_or("structure");
    if (!is_depth(plan.depth)) form.fail("depth", "must be structure, all, or a part as \"5%\"");
    form.expect_no_more();
    return plan;
}

template <typename Plan>
void expect_different_names(const Form& form, const char* key, const std::vector<Plan>& plans) {
    for (std::size_t i = 0; i < plans.size(); ++i)
        for (std::size_t j = 0; j < i; ++j)
            if (plans[i].name == plans[j].name)
                form.fail(key, fmt::format("two have the name '{}'", plans[i].name),
                          "give each a name of its own");
}

void read_retention(Form& form, RetentionPolicy& retention) {
    retention.rules = read_rules(form);
    retention.window = read_period(form, "window");
    for (auto& [class_name, rules] : form.named_forms("class")) {
        retention.classes[class_name] = read_rules(rules);
        rules.expect_no_more();
    }
    form.expect_no_more();
}

void read_objectives(Form& form, Objectives& objectives) {
    objectives.rpo = read_period(form, "rpo");
    objectives.rto = read_period(form, "rto");
    objectives.backup_age = read_period(form, "backup_age");
    objectives.window = read_period(form, "window");
    objectives.smallest_bytes = form.number("smallest_bytes", 1, most_bytes);
    form.expect_no_more();
}

Json keep_json(const KeepFor& keep) {
    if (const auto* count = std::get_if<std::uint32_t>(&keep)) return *count;
    return std::get<Period>(keep).text();
}

Json rules_json(const RetentionRules& rules) {
    Json json = Json::object();
    if (rules.last) json["last"] = *rules.last;
    if (rules.within) json["within"] = rules.within->text();
    const auto put = [&](const char* key, const std::optional<KeepFor>& keep) {
        if (keep) json[key] = keep_json(*keep);
    };
    put("hourly", rules.hourly);
    put("daily", rules.daily);
    put("weekly", rules.weekly);
    put("monthly", rules.monthly);
    put("yearly", rules.yearly);
    return json;
}

std::string duration_text(Duration duration) {
    return Period{0, std::chrono::duration_cast<std::chrono::seconds>(duration).count()}.text();
}

template <typename Plan>
Json plan_json(const Plan& plan) {
    Json json = {{"name", plan.name}};
    const auto [member, text] = rhythm_member(plan.rhythm);
    json[member] = text;
    if (plan.jitter)
        json["jitter"] = *plan.jitter == Duration::zero() ? no_jitter : duration_text(*plan.jitter);
    return json;
}

Json backup_json(const BackupPlan& plan) {
    Json json = plan_json(plan);
    json["type"] = plan.type;
    if (!plan.class_name.empty()) json["class"] = plan.class_name;
    if (plan.keep) json["keep"] = plan.keep->text();
    if (plan.time_limit > Duration::zero()) json["time_limit"] = duration_text(plan.time_limit);
    json["catch_up"] = plan.catch_up;
    if (!plan.tags.empty()) json["tags"] = plan.tags;
    return json;
}

Json json_of(const RetentionPolicy& retention) {
    Json json = rules_json(retention.rules);
    if (retention.window) json["window"] = retention.window->text();
    for (const auto& [class_name, rules] : retention.classes) json["class"][class_name] = rules_json(rules);
    return json;
}

Json json_of(const Objectives& objectives) {
    Json json = Json::object();
    if (objectives.rpo) json["rpo"] = objectives.rpo->text();
    if (objectives.rto) json["rto"] = objectives.rto->text();
    if (objectives.backup_age) json["backup_age"] = objectives.backup_age->text();
    if (objectives.window) json["window"] = objectives.window->text();
    if (objectives.smallest_bytes) json["smallest_bytes"] = *objectives.smallest_bytes;
    return json;
}

} // namespace

Policy parse_policy(const std::string& name, std::string_view json) {
    Form form = Form::parse(json, "policy." + name);
    Policy policy;
    policy.name = name;
    policy.sources = form.texts("sources");
    if (policy.sources.empty()) form.fail("sources", "is missing", "name the sources, or [\"*\"] for all");
    if (const auto zone =
            form.text_as("time_zone", [](const std::string& text) { return TimeZone::named(text); }))
        policy.zone = policy.retention.zone = *zone;
    for (const std::string& window : form.texts("maintenance"))
        policy.maintenance.push_back(form.at("maintenance", [&] { return WeeklyWindow::parse(window, {}); }));
    if (auto objectives = form.form("objectives")) read_objectives(*objectives, policy.objectives);
    for (Form& backup : form.forms("backup")) policy.backups.push_back(read_backup(backup, policy.zone));
    expect_different_names(form, "backup", policy.backups);
    for (Form& verify : form.forms("verify"))
        policy.verifications.push_back(read_verification(verify, policy.zone));
    expect_different_names(form, "verify", policy.verifications);
    if (auto retention = form.form("retention")) read_retention(*retention, policy.retention);
    form.expect_no_more();
    return policy;
}

std::string policy_json(const Policy& policy) {
    Json json = {{"sources", policy.sources}, {"time_zone", policy.zone.name()}};
    for (const WeeklyWindow& window : policy.maintenance) json["maintenance"].push_back(window.text());
    if (policy.objectives != Objectives{}) json["objectives"] = json_of(policy.objectives);
    for (const BackupPlan& plan : policy.backups) json["backup"].push_back(backup_json(plan));
    for (const VerificationPlan& plan : policy.verifications) {
        Json verify = plan_json(plan);
        verify["depth"] = plan.depth;
        json["verify"].push_back(verify);
    }
    json["retention"] = json_of(policy.retention);
    return json.dump();
}

std::pair<std::string, std::string> rhythm_member(const Schedule::Rhythm& rhythm) {
    if (const auto* cron = std::get_if<CronExpression>(&rhythm)) return {"cron", cron->text()};
    if (const auto* window = std::get_if<WeeklyWindow>(&rhythm)) return {"window", window->text()};
    return {"every", duration_text(std::get<Schedule::Every>(rhythm).interval)};
}

std::string retention_json(const RetentionPolicy& retention) { return json_of(retention).dump(); }
std::string objectives_json(const Objectives& objectives) { return json_of(objectives).dump(); }

} // namespace holdfast
