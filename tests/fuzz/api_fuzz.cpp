// A request through the whole API, the routes of the server among them, over a catalog in a file and a small
// repository in memory: whatever is asked, by an administrator, it is answered, by a status that blames the
// client or says what was done.
#include "api/api_server.h"
#include "api/http/request_parser.h"
#include "repository/backup_run.h"
#include "repository/node/directory_node.h"
#include "server/alert_routes.h"
#include "server/backup_recovery_listings.h"
#include "server/checklist_routes.h"
#include "server/policy_routes.h"
#include "server/prepare_operation.h"
#include "server/repository_routes.h"
#include "server/snapshot_routes.h"
#include "store/memory_store.h"
#include "support/scratch_directory.h"

#include <cstdlib>
#include <memory>

namespace {

using namespace holdfast;

// Two snapshots of a source that the file has a policy for.
class Stored {
  public:
    Stored(Clock& clock, Random& random, const test::ScratchDirectory& scratch)
        : clock_(clock), random_(random), scratch_(scratch) {
        MemoryStoreSettings settings;
        settings.capabilities.versions = false;
        settings.clock = &clock;
        store_ = std::make_shared<MemoryStore>(settings);
        InitOptions options;
        options.cost = {.memory_kib = 8192, .passes = 1};
        options.capabilities = store_->capabilities();
        create_repository(*store_, clock, random, credential(), options);
        for (int i = 0; i < 2; ++i) back_up();
    }

    OpenRepository open() {
        return {.repository = std::make_unique<Repository>(
                    store_, unlock(*store_, credential()),
                    LocalDirectories{scratch_.file("cache"), scratch_.path().string()}, clock_, random_,
                    silent_logger()),
                .store = {}};
    }

  private:
    static Credential credential() {
        return Credential::passphrase(Secret::copy_of(as_bytes(std::string_view("open sesame"))));
    }
    void back_up() {
        const OpenRepository open = this->open();
        BackupRunSettings settings;
        settings.source = "home";
        settings.beat_interval = Duration::zero();
        settings.pipeline.workers = settings.pipeline.uploads = 1;
        BackupRun run(*open.repository, settings, {});
        DirectoryBuilder builder([&](Bytes node) { return run.writer().put_node(std::move(node)); });
        run.commit(builder.finish(), {}, SnapshotState::complete);
    }

    Clock& clock_;
    Random& random_;
    const test::ScratchDirectory& scratch_;
    std::shared_ptr<MemoryStore> store_;
};

Policy declared_policy() {
    Policy policy;
    policy.name = "production";
    policy.sources = {"home"};
    policy.retention.rules.last = 5;
    return policy;
}

// They may ask for anything but the end of the last administrator's token.
class Api {
  public:
    Api() {
        observer_.look({declared_policy()}, {.sources = sources_}, {});
        add_repository_routes(server_.router(), observer_, desk_);
        add_snapshot_routes(server_.router(), {.observer = observer_,
                                               .desk = desk_,
                                               .fates = fates_,
                                               .api = server_.services(),
                                               .declared = [this] { return declared_.policies; },
                                               .changed = [] {}});
        add_backup_listing_routes(server_.router(), observer_);
        add_alert_routes(server_.router(), {.watch = [this] { return watch_; },
                                            .operations = operations_,
                                            .audit = audit_,
                                            .clock = clock_});
        add_checklist_routes(server_.router(), checklists_, keeper_, clock_);
        const PolicyServices policies{.book = book_,
                                      .in_effect = in_effect_,
                                      .observer = observer_,
                                      .operations = operations_,
                                      .clock = clock_,
                                      .settings = settings_,
                                      .declared = [this] { return declared_.policies; },
                                      .sources = [this] { return sources_; },
                                      .declare_again = [this] { return declared_; },
                                      .changed = [] {}};
        add_policy_routes(server_.router(), policies);
        add_schedule_routes(server_.router(), policies);
        add_configuration_routes(server_.router(), policies);
        if (auto issued = server_.first_token()) secret_ = issued->secret;
        Alerts& alerts = watch_->alerts();
        const Rule* rule = find_rule("backup_failed");
        alerts.apply({{.rule = rule,
                       .subject = "home",
                       .verdict = Verdict::breach,
                       .severity = rule->severity,
                       .summary = "it failed"}},
                     false);
    }

    // Of the trail, which has whatever changes something.
    std::int64_t entries() { return audit_.head().number; }

    api::Response answer(api::Request request) {
        request.headers.set("Authorization", "Bearer " + secret_);
        api::Response response = server_.router().answer(request);
        if (response.events) response.events->next();
        response.events.reset(); // which may not outlive the API
        return response;
    }

  private:
    OperationRequest prepare(const api::OperationAsked& asked) {
        return prepare_operation(asked,
                                 {.sources = {{"home", "documents"}, {"orders", "postgresql"}},
                                  .restore_directory = "/srv/restored"},
                                 clock_.now());
    }
    static ServerSettings settings_in(const test::ScratchDirectory& scratch) {
        ServerSettings settings;
        settings.state_directory = scratch.path().string();
        return settings;
    }

    test::ScratchDirectory scratch_;
    Catalog catalog_{"sqlite:" + scratch_.file("catalog.db"), silent_logger()};
    FakeClock clock_{from_rfc3339("2026-11-20T12:00:00Z")};
    SeededRandom random_{1};
    Stored stored_{clock_, random_, scratch_};
    const std::function<OpenRepository()> open_ = [this] { return stored_.open(); };
    const std::vector<MeasuredSource> sources_{{.name = "home", .kind = "documents"}};
    const ServerSettings settings_ = settings_in(scratch_);
    const ServerDeclaration declared_{.policies = {declared_policy()}, .sources = sources_};
    Operations operations_{catalog_, clock_, random_};
    Audit audit_{catalog_, clock_};
    RepositoryObserver observer_{open_, clock_};
    RepositoryDesk desk_{open_, {.program = "/bin/false", .before = {}, .behind = {}}, clock_};
    SnapshotFates fates_;
    PolicyBook book_{catalog_, open_};
    PoliciesInEffect in_effect_{book_,  observer_,      settings_.state_directory, declared_.policies,
                                clock_, silent_logger()};
    std::shared_ptr<Watch> watch_ =
        std::make_shared<Watch>(catalog_, clock_, random_, silent_logger(), WatchSettings{.server = "test"});
    ChecklistBook checklists_{catalog_, clock_, [] { return default_checklists(); }};
    ChecklistKeeper keeper_{ChecklistServices{.book = checklists_,
                                              .catalog = catalog_,
                                              .operations = operations_,
                                              .audit = audit_,
                                              .clock = clock_,
                                              .logger = silent_logger(),
                                              .watch = [this] { return watch_; },
                                              .view = [this] { return observer_.view(); }}};
    // Nobody is to be slowed down here.
    static constexpr api::Rate any_rate{.per_second = 1e9, .burst = 1e9};
    api::ApiServer server_{
        api::ApiSettings{.state_directory = scratch_.file("state"),
                         .access = {.per_token = any_rate, .per_address = any_rate, .failures = any_rate}},
        api::ApiParts{
            .catalog = catalog_,
            .clock = clock_,
            .random = random_,
            .logger = silent_logger(),
            .prepare = [this](const api::OperationAsked& asked) { return prepare(asked); },
            .statements = [this] { return observer_.require_view()->measurements.statements.statements; }}};
    std::string secret_;
};

// What another program is started for: there is none here.
bool asks_a_program(const api::Request& request) {
    const auto& words = request.segments;
    return (words.size() == 2 && words[1] == "repository") || (words.size() == 4 && words[3] == "window");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    holdfast::api::RequestParser parser({});
    std::string waiting(reinterpret_cast<const char*>(data), size);
    parser.feed(waiting);
    if (parser.state() != holdfast::api::RequestParser::State::done) return 0;
    holdfast::api::Request request = parser.take("192.0.2.1");
    if (asks_a_program(request)) return 0;
    // Each begins where the first did, so that what fails fails alone: what changed something gets no
    // successor.
    static std::unique_ptr<Api> api;
    if (!api) api = std::make_unique<Api>();
    const std::int64_t entries = api->entries();
    const bool reads = request.method == "GET" || request.method == "HEAD";
    const holdfast::api::Response response = api->answer(std::move(request));
    if (response.status >= 500 && response.status != 501) std::abort();
    if (response.status >= 400 && response.content_type != "application/problem+json") std::abort();
    if ((!reads && response.status < 400) || api->entries() != entries) api.reset();
    return 0;
}
