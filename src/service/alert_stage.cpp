#include "service/alert_stage.h"

#include "base/file_descriptor.h"
#include "base/json_text.h"
#include "repository/key_slots.h"
#include "repository/protocol/collector.h"
#include "repository/protocol/snapshot_list.h"
#include "service/backup_documents.h"
#include "service/clock_check.h"
#include "service/repository_stats.h"
#include "service/retention.h"
#include "service/verify.h"
#include "store/fault_store.h"
#include "store/store_factory.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/mount.h>

namespace holdfast {

namespace {

constexpr std::size_t key_bytes = 32;
constexpr std::uint64_t small_disk_bytes = 16 << 20;

Credential sandbox_key() {
    // What is in the sandbox is nobody's secret, and gone in a minute.
    return Credential::key_file({Secret(key_bytes), std::nullopt, false});
}

std::string error_json(const Error& error) {
    return json_text(nlohmann::json({{"code", to_string(error.code())}, {"message", error.message()}}));
}

// One snapshot is kept.
std::vector<Policy> sandbox_policies() {
    Policy policy;
    policy.name = "sandbox";
    policy.sources = {"*"};
    policy.retention.rules.last = 1;
    return {policy};
}

// Those that take the rule, and nothing else that is brought about beside it. What they take of subjects
// counts for nothing here: the sandbox has its own.
std::vector<ChannelSettings> channels_for(const Rule& rule, std::vector<ChannelSettings> channels,
                                          const std::string& key_file) {
    std::erase_if(channels,
                  [&](const ChannelSettings& channel) { return !channel.route.takes_rule(rule.name); });
    for (ChannelSettings& channel : channels) {
        channel.route.rules = {std::string(rule.name)};
        channel.route.subjects.clear();
    }
    if (rule.name == "channel_failing") {
        // Nothing listens on port 1.
        ChannelSettings broken;
        broken.name = AlertStage::source;
        broken.type = ChannelType::webhook;
        broken.endpoint = "http://127.0.0.1:1/";
        broken.secret.file = key_file;
        broken.timeout = std::chrono::seconds(5);
        broken.route = {.channel = broken.name, .rules = {"backup_failed"}};
        channels.push_back(broken);
    }
    return channels;
}

} // namespace

SandboxDirectory::SandboxDirectory(const std::string& parent) {
    const char* usual = std::getenv("TMPDIR");
    std::string pattern = parent.empty() ? (usual != nullptr && *usual == '/' ? usual : "/var/tmp") : parent;
    pattern += "/holdfast-alert-XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr) throw system_error(errno, pattern);
    path_ = pattern;
}

SandboxDirectory::~SandboxDirectory() {
    if (mounted_) ::umount2((path_ + "/disk").c_str(), MNT_DETACH);
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

std::string SandboxDirectory::mount_disk(std::uint64_t bytes) {
    const std::string place = path_ + "/disk";
    std::filesystem::create_directory(place);
    if (::mount("tmpfs", place.c_str(), "tmpfs", 0, fmt::format("size={}", bytes).c_str()) != 0) {
        const Error error = system_error(errno, "mounting a small disk");
        throw Error(ErrorCode::unsupported, error.message(),
                    "run it as root, where file systems may be mounted");
    }
    mounted_ = true;
    return place;
}

AlertStage::AlertStage(const Rule& rule, const AlertTrialSettings& settings, Logger& logger,
                       std::stop_token stop)
    : directory(settings.directory),
      rule_(rule),
      rules_(settings.rules),
      logger_(logger),
      stop_(std::move(stop)),
      parent_(settings.directory),
      begun_(clock.now()) {
    if (rule.name == "storage_growing") {
        // A gibibyte is too much for a test; the other numbers are those in force.
        auto changed = rules_.settings();
        changed[std::string(rule.name)].thresholds["least_bytes"] = 1 << 20;
        rules_ = RuleBook(changed);
    }
    catalog_ = std::make_unique<Catalog>("sqlite:" + (directory / "catalog.db"), logger_);
    operations_ = std::make_unique<Operations>(*catalog_, clock, system_random());
    WatchSettings watching;
    watching.server = source;
    watching.origin = settings.origin;
    watching.rules = rules_;
    watching.channels = channels_for(rule, settings.channels, directory / "key");
    write_file_durably(directory / "key", as_bytes("nobody reads it"));
    watching.environment = settings.environment;
    watching.channel_clock = &system_clock();
    watch_ = std::make_unique<Watch>(*catalog_, clock, system_random(), logger_, watching);

    std::filesystem::create_directory(tree());
    write_file("first", 200'000);
    repository_directory_ =
        (rule.name == "storage_low" ? directory.mount_disk(small_disk_bytes) : directory.path()) +
        "/repository";
    const OpenStore store = open_store(repository_directory(), {.durable = false, .clock = &clock});
    InitOptions options;
    options.recovery_key = false;
    options.capabilities = probe_capabilities(*store.store);
    create_repository(*store.store, clock, system_random(), sandbox_key(), options);
    repository_ = opened(store_of(0), clock);
}

// What is still at work for its facts uses the rest.
AlertStage::~AlertStage() { add_facts = nullptr; }

std::shared_ptr<Store> AlertStage::store_of(std::uint64_t bytes_per_second) {
    StoreSettings settings{.durable = false, .clock = &clock};
    settings.throttle.upload_bytes_per_second = bytes_per_second;
    settings.retry.attempts = 1;
    settings.landmark = "config"; // so that a place where it was is no empty repository
    return open_store(repository_directory(), settings).store;
}

std::unique_ptr<Repository> AlertStage::opened(std::shared_ptr<Store> store, Clock& time) {
    Unlocked unlocked = unlock(*store, sandbox_key());
    return std::make_unique<Repository>(std::move(store), std::move(unlocked),
                                        LocalDirectories{directory / "cache", directory / "."}, time,
                                        system_random(), logger_);
}

void AlertStage::start_cluster() {
    cluster_directory_.emplace(parent_);
    cluster_ = std::make_unique<SandboxCluster>(cluster_directory_->path(), logger_, stop_);
}

void AlertStage::slow_down(std::uint64_t bytes_per_second) {
    repository_ = opened(store_of(bytes_per_second), clock);
}

void AlertStage::refuse_writes() {
    const auto full = std::make_shared<FaultStore>(store_of(0));
    full->plan({.kind = FaultKind::disk_full, .verb = StoreVerb::put, .times = UINT64_MAX});
    repository_ = opened(full, clock);
}

void AlertStage::delay_next_write(Duration by) {
    const auto slow = std::make_shared<FaultStore>(store_of(0), hurry_);
    slow->plan({.kind = FaultKind::delay, .verb = StoreVerb::put, .name_prefix = "packs/", .delay = by});
    repository_ = opened(slow, clock);
}

std::optional<double> AlertStage::clock_offset(Duration error) {
    MovableClock wrong;
    wrong.advance(error);
    return clock_offset_seconds(*opened(store_of(0), wrong));
}

void AlertStage::write_file(const std::string& name, std::size_t bytes) {
    Bytes content(bytes);
    system_random().fill(content);
    write_file_durably(tree() + "/" + name, content);
}

void AlertStage::carry_out(const char* kind, std::optional<std::string> about, std::optional<Duration> limit,
                           const Work& work) {
    operations_->add({.kind = kind, .source = std::move(about), .requested_by = "test of alerts"});
    const auto operation = operations_->claim(source, std::chrono::hours(1), {});
    if (!operation) throw Error(ErrorCode::internal, "the operation of the sandbox was not claimed");
    std::stop_source ending;
    const std::stop_callback forward(stop_, [&] { ending.request_stop(); });
    std::jthread deadline;
    if (limit) {
        deadline = std::jthread([&](const std::stop_token& done) {
            if (system_clock().sleep_for(*limit, done)) ending.request_stop();
        });
    }
    try {
        const bool whole = work(ending.get_token());
        operations_->finish(*operation, whole ? OperationState::succeeded : OperationState::incomplete, "{}",
                            {});
    } catch (const Error& error) {
        // As the executor of the server does it.
        const bool late = limit && error.code() == ErrorCode::cancelled && !stop_.stop_requested();
        const Error told =
            late ? Error(ErrorCode::timed_out, "not done within its time limit, and stopped") : error;
        operations_->finish(*operation, OperationState::failed, {}, error_json(told));
    }
}

void AlertStage::back_up(std::optional<Duration> limit) {
    carry_out("backup", source, limit, [&](const std::stop_token& stop) {
        Progress progress;
        DocumentsBackup what;
        what.run.source = source;
        what.run.host = "sandbox";
        what.run.stop_grace = std::chrono::seconds(1);
        what.run.commit_grace = std::chrono::seconds(1);
        what.run.leave_grace = std::chrono::seconds(1);
        what.paths = {tree()};
        const DocumentsBackupResult result = back_up_documents(*repository_, what, progress, stop);
        return result.report.snapshot.state == SnapshotState::complete;
    });
}

void AlertStage::apply_retention() {
    carry_out("retention", {}, {}, [&](const std::stop_token& stop) {
        enforce_retention(*opened(store_of(0), clock), sandbox_policies(), {}, stop);
        return true;
    });
}

void AlertStage::prune() {
    carry_out("prune", {}, {}, [&](const std::stop_token& stop) {
        Progress progress;
        collect_garbage(opened(store_of(0), clock)->context(), {}, progress, stop);
        return true;
    });
}

void AlertStage::verify_as_planned() {
    carry_out("verify", source, {}, [&](const std::stop_token& stop) {
        Progress progress;
        verify_repository(*opened(store_of(0), clock), {}, progress, stop);
        return true;
    });
}

void AlertStage::verify() {
    Progress progress;
    const VerifyReport report = verify_repository(*repository_, {.read_data = true}, progress, stop_);
    verification_ = VerificationFacts{.time = clock.now(), .good = report.intact()};
    if (!report.damages.empty())
        verification_->problem = report.damages.front().object + ": " + report.damages.front().what;
}

void AlertStage::enforce_retention_here() {
    retention_blocked_.clear();
    try {
        const RetentionResult result = enforce_retention(*repository_, sandbox_policies(), {}, stop_);
        for (const RetentionResult::Source& each : result.sources) retention_blocked_ += each.blocked;
        for (const std::string& problem : result.problems)
            retention_blocked_ += (retention_blocked_.empty() ? "" : "; ") + problem;
    } catch (const Error& error) {
        retention_blocked_ = error.message();
    }
}

Facts AlertStage::gather() {
    Facts facts;
    facts.at = clock.now();
    SourceFacts here;
    here.source = source;
    here.kind = "documents";
    here.expected_since = begun_;
    RepositoryFacts repository;
    repository.name = source;
    try {
        // A place from which the disk is gone lists nothing, which is no repository without snapshots.
        if (!repository_->context().store.head(std::string(config_name), {}))
            throw Error(ErrorCode::unavailable, "there is no repository at its place any more");
        const SnapshotList list = list_snapshots(repository_->context());
        for (const Snapshot& snapshot : list.snapshots) {
            BackupFacts backup;
            backup.time = snapshot.time;
            backup.good = snapshot.state == SnapshotState::complete;
            backup.bytes = snapshot.totals.bytes;
            backup.took = snapshot.end - snapshot.time;
            backup.added_bytes = snapshot.totals.stored_bytes;
            here.backups.push_back(backup);
        }
        std::ranges::sort(here.backups, {}, &BackupFacts::time);
        repository.bytes = repository_stats(*repository_, false, stop_).all.bytes;
    } catch (const Error& error) {
        here.known = false;
        repository.reachable = false;
        repository.problem = error.message();
    }
    here.operations = operation_facts(*operations_, source);
    repository.operations = repository_operation_facts(*operations_);
    here.verification = verification_;
    here.retention_blocked = retention_blocked_;
    facts.sources = {here};
    facts.repositories = {repository};
    facts.servers.push_back({.name = source});
    if (add_facts) add_facts(facts);
    return facts;
}

void AlertStage::round() {
    clock.advance(std::chrono::minutes(1));
    if (rounds_stopped) {
        watch_->check_pulse(stop_);
    } else if (!watch_->round(gather())) {
        throw Error(ErrorCode::internal, "the monitor of the sandbox failed", "its log says why");
    }
}

std::vector<std::string> AlertStage::tell_all_steps() {
    std::vector<std::string> channels;
    const Alert firing = alert().value();
    const Routing& routing = watch_->alerts().settings().routing;
    std::int64_t step = 0;
    while (const auto next = routing.step_after(firing.rule, firing.subject, firing.severity, step)) {
        // The first was told as it began to fire.
        if (step > 0) {
            clock.advance(escalation_interval(firing.severity));
            round();
        }
        step = *next;
        std::ranges::move(routing.channels(firing.rule, firing.subject, firing.severity, step),
                          std::back_inserter(channels));
    }
    return channels;
}

std::optional<Alert> AlertStage::alert() {
    AlertFilter filter;
    filter.states = {AlertState::firing};
    filter.rule = std::string(rule_.name);
    const auto alerts = watch_->alerts().list(filter);
    return alerts.empty() ? std::nullopt : std::optional(alerts.front());
}

} // namespace holdfast
