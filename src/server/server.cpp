#include "server/server.h"

#include "base/error.h"
#include "catalog/sqlite_database.h"
#include "server/alert_routes.h"
#include "server/backup_recovery_listings.h"
#include "server/checklist_routes.h"
#include "server/gather_facts.h"
#include "server/operation_trail.h"
#include "server/policy_routes.h"
#include "server/prepare_operation.h"
#include "server/repository_routes.h"
#include "server/self_tests.h"
#include "server/snapshot_routes.h"
#include "service/audit_heads.h"

#include <algorithm>
#include <array>
#include <cerrno>

#include <fcntl.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/file.h>
#include <unistd.h>

namespace holdfast {

namespace {

constexpr Duration between_rounds = std::chrono::seconds(1);
constexpr Duration between_judgements = std::chrono::minutes(1);
// Of a look that takes long: until the next one.
constexpr Duration longest_pause = std::chrono::minutes(15);
constexpr Duration between_looks = std::chrono::minutes(1);
// Of the time, a look at the repository takes one part in so many at most.
constexpr int look_share = 10;
// For what is being answered when the server ends.
constexpr Duration answers_grace = std::chrono::seconds(5);
constexpr Duration between_deliveries = std::chrono::seconds(5);
constexpr Duration between_pulses = std::chrono::seconds(30);
constexpr Duration between_approved = std::chrono::seconds(10);
constexpr Duration clean_again = std::chrono::hours(1);
// How long what has ended is remembered; the audit trail is for longer.
constexpr Duration remembered = std::chrono::days(400);

std::string host_name() {
    std::array<char, 256> host{};
    return ::gethostname(host.data(), host.size() - 1) == 0 ? std::string(host.data()) : "unknown";
}

// Of this process alone, and readable where operations are shown.
std::string owner_name(Random& random) {
    return fmt::format("{}/{}/{}", host_name(), ::getpid(), random.id<4>().hex());
}

// Held as long as the server lives. A second server over the same catalog file would be another owner of the
// same state, started by mistake.
FileDescriptor lock_state(const std::string& directory) {
    create_directories_private(directory);
    const std::string path = directory + "/lock";
    FileDescriptor file = open_file(path, O_RDWR | O_CREAT, 0600);
    if (::flock(file.get(), LOCK_EX | LOCK_NB) == 0) return file;
    if (errno != EWOULDBLOCK) throw system_error(errno, path);
    throw Error(ErrorCode::usage, fmt::format("another server has the state directory {}", directory),
                "end it, or name another state_directory below [server]");
}

api::ApiSettings api_settings(const ServerSettings& settings) {
    api::ApiSettings api;
    api.http.listen = settings.listen;
    api.state_directory = settings.state_directory;
    api.certificate_file = settings.certificate;
    api.key_file = settings.key;
    api.certificate_names = settings.names;
    for (const auto& [action, protection] : settings.protection)
        api.protection[action] = api::protection_of(protection);
    return api;
}

Error lost_catalog(const std::string& url) {
    constexpr const char* hint =
        "start the server again: it makes a new one, and what matters is read from the repository";
    const auto file = sqlite_file(url);
    if (file && SqliteDatabase::is_known_as_damaged(*file))
        return {ErrorCode::corrupt, "the catalog was found damaged while the server used it", hint};
    return {ErrorCode::unavailable, "the catalog was taken away while the server used it", hint};
}

// Snapshots are listed newest first.
NewestSnapshots newest_of(const RepositoryView& view) {
    NewestSnapshots newest;
    for (const AnnotatedSnapshot& one : view.measurements.snapshots)
        newest.try_emplace(one.snapshot.source, one.snapshot.time);
    return newest;
}

} // namespace

Server::Server(ServerEnvironment environment, Clock& clock, Random& random, Logger& logger)
    : environment_(std::move(environment)),
      clock_(clock),
      random_(random),
      logger_(logger),
      lasting_(logger, clock),
      lock_(lock_state(environment_.settings.state_directory)),
      catalog_(environment_.settings.catalog_url(), logger),
      operations_(catalog_, clock, random,
                  operations_in_trail(audit_, environment_.settings.restore_directory)),
      audit_(catalog_, clock),
      deletions_(audit_, lasting_),
      heads_(audit_, clock, lasting_),
      mender_(operations_, environment_.settings.gap_patience, clock, logger),
      policy_trail_(audit_, clock, lasting_),
      owner_(owner_name(random)),
      book_(catalog_, environment_.open_repository),
      observer_(environment_.open_repository, clock),
      policies_(book_, observer_, environment_.settings.state_directory, environment_.declaration.policies,
                clock, logger, [this](const std::string& changes) { policy_trail_.took_effect(changes); }),
      desk_(environment_.open_repository, environment_.program, clock),
      new_snapshots_(observer_, desk_, logger),
      fates_(answering_.get_token()),
      checklists_(catalog_, clock, [this] { return declaration().checklists; }),
      checklist_keeper_({.book = checklists_,
                         .catalog = catalog_,
                         .operations = operations_,
                         .audit = audit_,
                         .clock = clock,
                         .logger = logger,
                         .watch = [this] { return watch(); },
                         .view = [this] { return observer_.view(); }}),
      plans_(operations_, clock, logger),
      executor_({.words = environment_.program, .world = [this] { return world(); }}),
      runner_(operations_, executor_, clock, random, logger,
              {.owner = owner_,
               .limits = {.at_once = environment_.settings.at_once},
               .before_end =
                   [this](const Operation& operation, const ExecutionOutcome& outcome) {
                       new_snapshots_.learn(operation, outcome);
                   },
               .with_end = [this](Database& database, const Operation& operation,
                                  const ExecutionOutcome& outcome) { follow(database, operation, outcome); },
               .on_end =
                   [this](const Operation& operation, const ExecutionOutcome& outcome) {
                       look_soon();
                       keep_self_tests(*watch(), operation, outcome, logger_);
                   }}),
      api_(api_settings(environment_.settings),
           {.catalog = catalog_,
            .clock = clock,
            .random = random,
            .logger = logger,
            .prepare =
                [this](const api::OperationAsked& asked) {
                    return prepare_operation(asked, world(), clock_.now());
                },
            .statements = [this] { return observer_.require_view()->measurements.statements.statements; },
            .ready = {{.name = "repository", .missing = [this]() -> std::optional<std::string> {
                           return observer_.view() ? std::nullopt
                                                   : std::optional<std::string>("not looked at yet");
                       }}}}) {
    watch_ = make_watch(environment_.declaration);
    add_repository_routes(api_.router(), observer_, desk_);
    add_snapshot_routes(api_.router(), {.observer = observer_,
                                        .desk = desk_,
                                        .fates = fates_,
                                        .api = api_.services(),
                                        .declared = [this] { return declaration().policies; },
                                        .changed = [this] { look_soon(); }});
    add_backup_listing_routes(api_.router(), observer_);
    add_alert_routes(
        api_.router(),
        {.watch = [this] { return watch(); }, .operations = operations_, .audit = audit_, .clock = clock_});
    add_checklist_routes(api_.router(), checklists_, checklist_keeper_, clock_);
    const PolicyServices policies{.book = book_,
                                  .in_effect = policies_,
                                  .observer = observer_,
                                  .operations = operations_,
                                  .clock = clock_,
                                  .settings = environment_.settings,
                                  .declared = [this] { return declaration().policies; },
                                  .sources = [this] { return declaration().sources; },
                                  .declare_again = environment_.declare_again,
                                  .changed =
                                      [this] {
                                          const std::scoped_lock lock(mutex_);
                                          replan_ = look_again_ = true;
                                          changed_.notify_all();
                                      },
                                  .stop = answering_.get_token()};
    add_policy_routes(api_.router(), policies);
    add_schedule_routes(api_.router(), policies);
    add_configuration_routes(api_.router(), policies);
}

Server::~Server() = default;

void Server::run(const std::function<void(std::uint16_t port)>& ready, const std::stop_token& asked) {
    std::stop_source ending;
    const std::stop_callback forward(asked, [&] { ending.request_stop(); });
    const std::stop_token stop = ending.get_token();
    bool catalog_gone = false;
    api_.start();
    ready(api_.port());
    {
        const std::jthread carrying_out([&] { runner_.run(stop); });
        const std::jthread observing([&] { observe(stop); });
        const std::jthread judging([&] { judge(stop); });
        const std::jthread delivering([&] { deliver(stop); });
        const std::jthread watching([&] { watch_over_watch(stop); });
        const std::jthread ticking([&] { checklist_keeper_.run(stop); });
        const std::jthread learning([&] { new_snapshots_.run(stop); });
        const std::jthread approved([&] { carry_out_approved(stop); });
        bool failing = false;
        while (!stop.stop_requested()) {
            try {
                round();
                failing = false;
            } catch (const std::exception& error) {
                // Once, until it is well again: it is asked each second.
                if (!failing)
                    logger_.error("a round of the server failed", {{"reason", std::string(error.what())}});
                failing = true;
            }
            catalog_gone = catalog_.gone();
            if (catalog_gone) ending.request_stop();
            clock_.sleep_for(between_rounds, stop);
        }
        desk_.stop();
        answering_.request_stop();
        api_.stop(answers_grace);
    }
    if (catalog_gone) throw lost_catalog(environment_.settings.catalog_url());
    policy_trail_.catch_up();
    try {
        watch()->leave();
    } catch (const Error& error) {
        logger_.warning("the catalog was not told that this server ended", {{"reason", error.message()}});
    }
}

void Server::round() {
    policy_trail_.catch_up();
    if (environment_.wants_reload() || policies_.applied_by_others()) declare_again();
    if (const auto view = observer_.view(); view && view != planned_by_) {
        NewestSnapshots newest = newest_of(*view);
        // What has snapshots now that had none is verified from now on.
        if (!newest_ || newest.size() != newest_->size()) want_plan();
        newest_ = std::move(newest);
        planned_by_ = view;
        if (policies_.settle(declaration())) want_plan();
    }
    if (take_replan()) plan_anew();
    if (plans_.round().asked_for > 0) runner_.wake();
    clean_up();
}

void Server::declare_again() {
    try {
        ServerDeclaration declaration = environment_.declare_again();
        policies_.require_harmless(declaration);
        auto watch = make_watch(declaration);
        environment_.accept(declaration);
        policies_.accept(declaration);
        if (declaration.settings != environment_.settings)
            logger_.warning(
                "settings below [server] were changed: they take effect when the server is started again");
        const std::scoped_lock lock(mutex_);
        environment_.declaration = std::move(declaration);
        watch->go_on_from(*watch_);
        watch_ = std::move(watch);
        replan_ = look_again_ = judge_again_ = true;
        changed_.notify_all();
        logger_.info("configuration read again");
    } catch (const Error& error) {
        logger_.error("configuration not read again; what was read before stays",
                      {{"reason", error.message()}, {"hint", error.hint()}});
    }
    try {
        api_.reload_certificate();
    } catch (const Error& error) {
        logger_.error("certificate not read again; the one before stays", {{"reason", error.message()}});
    }
}

std::shared_ptr<Watch> Server::make_watch(const ServerDeclaration& declaration) {
    return std::make_shared<Watch>(
        catalog_, clock_, random_, lasting_,
        WatchSettings{.server = fmt::format("{}:{}", host_name(), environment_.settings.state_directory),
                      .origin = host_name(),
                      .rules = declaration.rules,
                      .channels = declaration.channels});
}

std::shared_ptr<Watch> Server::watch() const {
    const std::scoped_lock lock(mutex_);
    return watch_;
}

void Server::want_plan() {
    const std::scoped_lock lock(mutex_);
    replan_ = true;
}

bool Server::take_replan() {
    const std::scoped_lock lock(mutex_);
    return std::exchange(replan_, false);
}

void Server::plan_anew() {
    try {
        const ServerDeclaration declared = declaration();
        ServerSettings settings = environment_.settings;
        if (!policies_.why_retention_waits().empty()) settings.retention = "never";
        plans_.plan(
            planned_operations(book_.in_force(declared.policies), declared.sources, settings, newest_));
    } catch (...) {
        want_plan();
        throw;
    }
}

void Server::clean_up() {
    if (cleaned_up_ && clock_.steady() - *cleaned_up_ < clean_again) return;
    cleaned_up_ = clock_.steady();
    operations_.remove_ended_before(clock_.now() - remembered);
}

// Each minute, sooner when an operation has ended, and less often where a look takes long.
void Server::observe(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
        const Duration begun = clock_.steady();
        std::string problem;
        try {
            const ServerDeclaration declared = declaration();
            const PolicyBook::Known known = book_.known();
            observer_.look(declared.policies, {.sources = declared.sources}, stop);
            take_policies(known);
            mend_chains();
            enter_deletions(stop);
            heads_.keep(observer_.repository());
        } catch (const std::exception& error) {
            problem = error.what();
        }
        if (stop.stop_requested()) return;
        const Duration took = clock_.steady() - begun;
        std::unique_lock lock(mutex_);
        if (!problem.empty() && look_problem_.empty())
            logger_.error("the repository cannot be looked at", {{"reason", problem}});
        look_problem_ = problem;
        judge_again_ = true;
        changed_.notify_all();
        // However much ends, looking has its part of the time and no more.
        const Duration pause = std::min(Duration(longest_pause), took * look_share);
        changed_.wait_for(lock, stop, pause, [] { return false; });
        changed_.wait_for(lock, stop, std::max(Duration{}, between_looks - pause),
                          [&] { return look_again_; });
        look_again_ = false;
    }
}

// Those that the repository has; `known` is of before the look.
void Server::take_policies(const PolicyBook::Known& known) {
    const auto list_again = [this] { return list_statements(observer_.repository().context()); };
    try {
        if (book_.take(observer_.require_view()->measurements.statements, known, list_again)) want_plan();
    } catch (const Error& error) {
        lasting_.warning("the policies of the repository were not taken over", {{"reason", error.message()}});
    }
}

// What the log no longer leads to is lost; what comes is not, once there is a snapshot behind the gap.
void Server::mend_chains() {
    try {
        const ServerDeclaration declared = declaration();
        const auto wanted = new_bases(observer_.require_view()->measurements,
                                      book_.in_force(declared.policies), declared.sources);
        if (mender_.mend(wanted) > 0) runner_.wake();
    } catch (const Error& error) {
        lasting_.warning("no snapshot could be asked for behind a gap of the log",
                         {{"reason", error.message()}});
    }
}

// Each minute by what is known, and when something is news.
void Server::judge(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
        {
            std::unique_lock lock(mutex_);
            changed_.wait_for(lock, stop, between_judgements, [&] { return judge_again_; });
            judge_again_ = false;
        }
        if (stop.stop_requested()) return;
        const auto watch = this->watch();
        try {
            watch->round(facts());
        } catch (const Error& error) {
            watch->round_failed(error);
        } catch (const std::exception& error) {
            watch->round_failed(Error(ErrorCode::internal, error.what()));
        }
    }
}

Facts Server::facts() {
    std::string problem;
    {
        const std::scoped_lock lock(mutex_);
        problem = look_problem_;
    }
    const ServerSettings& settings = environment_.settings;
    Facts facts = gather_facts(
        {.view = observer_.view(),
         .look_problem = problem,
         .sources = declaration().sources,
         .retention_waits = policies_.why_retention_waits(),
         .server = {.name = fmt::format("{}:{}", host_name(), settings.state_directory),
                    .certificate_end = api_.certificate_ends(),
                    .catalog = settings.catalog_url().starts_with("sqlite") ? "sqlite" : "postgresql"},
         .operations = operations_,
         .catalog = catalog_,
         .clock = clock_});
    facts.checklists = checklists_.facts();
    return facts;
}

void Server::deliver(const std::stop_token& stop) {
    do watch()->deliver(stop);
    while (clock_.sleep_for(between_deliveries, stop));
}

void Server::watch_over_watch(const std::stop_token& stop) {
    while (clock_.sleep_for(between_pulses, stop)) watch()->check_pulse(stop);
}

// While something is at it, its end brings the entries, which say more.
void Server::enter_deletions(const std::stop_token& stop) {
    try {
        for (const char* kind : {"retention", "forget"}) {
            // One that waits may be half done, and to be tried again.
            const OperationFilter deleting{
                .kind = kind, .states = {OperationState::queued, OperationState::running}, .limit = 1};
            if (!operations_.list(deleting).empty()) return;
        }
        if (const std::size_t entered = deletions_.catch_up(observer_.repository(), stop); entered > 0)
            logger_.info("deletions were entered into the audit trail behind the event",
                         {{"count", entered}});
    } catch (const Error& error) {
        if (error.code() == ErrorCode::cancelled) return;
        // What was looked at was seen all the same.
        lasting_.warning("deletions of others are not in the audit trail yet", {{"reason", error.message()}});
    }
}

ServerDeclaration Server::declaration() const {
    const std::scoped_lock lock(mutex_);
    return environment_.declaration;
}

OperationWorld Server::world() const {
    OperationWorld world{.sources = {},
                         .restore_directory = environment_.settings.restore_directory,
                         .retention_waits = policies_.why_retention_waits()};
    const ServerDeclaration declared = declaration();
    for (const MeasuredSource& source : declared.sources) world.sources[source.name] = source.kind;
    world.classes = known_classes(book_.in_force(declared.policies));
    for (const Rule& rule : all_rules()) world.rules.emplace(rule.name);
    return world;
}

// What was approved and could not be done yet, or on a server that was lost. It is done once: not before this
// server knows enough to do it.
void Server::carry_out_approved(const std::stop_token& stop) {
    do {
        try {
            // Before, what is about snapshots cannot be done, and would be tried in vain.
            if (observer_.view()) api_.carry_out_left();
        } catch (const std::exception& error) {
            lasting_.warning("what was approved is not carried out yet",
                             {{"reason", std::string(error.what())}});
        }
    } while (clock_.sleep_for(between_approved, stop));
}

void Server::look_soon() {
    const std::scoped_lock lock(mutex_);
    look_again_ = judge_again_ = true;
    changed_.notify_all();
}

// What windows let go of log grows with the time, also where no snapshot is forgotten.
bool Server::has_log_to_prune(const Operation& operation, const ExecutionOutcome& outcome) {
    if (operation.kind != "retention" || !operation.plan || outcome.state != OperationState::succeeded)
        return false;
    if (std::ranges::none_of(book_.in_force(declaration().policies),
                             [](const Policy& policy) { return policy.retention.window.has_value(); }))
        return false;
    return log_prunes_.follows(operation.id, clock_.now());
}

void Server::follow(Database& database, const Operation& operation, const ExecutionOutcome& outcome) {
    if (outcome.state == OperationState::succeeded) watch()->queue_success_of(database, operation);
    const std::size_t deletions =
        enter_deletions_of(database, audit_, operation, outcome, observer_.view().get(), logger_);
    learn_what_is_gone(observer_, operation, outcome);
    if (deletions == 0 && !has_log_to_prune(operation, outcome)) return;
    operations_.add(
        database,
        {.kind = "prune", .requested_by = operation.kind + " " + operation.id, .run_after = clock_.now()});
}

} // namespace holdfast
