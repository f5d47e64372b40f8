// The server: it asks for what policies plan, carries operations out, enforces retention, and answers the
// API.
#pragma once

#include "api/api_server.h"
#include "base/file_descriptor.h"
#include "base/log.h"
#include "base/unrepeated_log.h"
#include "catalog/audit.h"
#include "catalog/catalog.h"
#include "catalog/operations.h"
#include "execution/operation_runner.h"
#include "execution/plan_runner.h"
#include "execution/program_executor.h"
#include "server/audit_head_keeper.h"
#include "server/broken_chains.h"
#include "server/checklist_keeper.h"
#include "server/deletion_trail.h"
#include "server/log_prunes.h"
#include "server/own_deeds.h"
#include "server/planned_operations.h"
#include "server/policies_in_effect.h"
#include "server/policy_trail.h"
#include "server/repository_desk.h"
#include "server/repository_view.h"
#include "server/snapshot_fates.h"
#include "watch/watch.h"

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <vector>

namespace holdfast {

struct ServerEnvironment {
    ServerSettings settings;
    ServerDeclaration declaration;
    ProgramWords program; // that carries operations out
    // Whether what is declared is to be read again, once; asked each second. What is under way goes on.
    std::function<bool()> wants_reload;
    // Reads it. Throws Error(usage), and everything stays as it is.
    std::function<ServerDeclaration()> declare_again;
    // From now on operations go by what it was read from.
    std::function<void(const ServerDeclaration&)> accept;
    std::function<OpenRepository()> open_repository;
};

// Clock, random and logger must outlive it.
class Server {
  public:
    // Makes the state directory and opens the catalog. Throws Error(usage) when another server has the state
    // directory, and what opening the catalog and making the certificate throw.
    Server(ServerEnvironment environment, Clock& clock, Random& random, Logger& logger);
    ~Server();

    // The administrator's token, when the catalog has had none before; as ApiServer::first_token().
    void first_token(const std::function<void(const IssuedToken&)>& show) { api_.first_token(show); }
    // SHA-256 of the certificate, hexadecimal.
    std::string fingerprint() const { return api_.fingerprint(); }

    // Listens, calls `ready` with the port, and works until `stop`; what is under way is then put back, for
    // whoever comes next. Throws Error(usage) or Error(unavailable) when it cannot listen, and
    // Error(unavailable) when the file of the catalog was taken away, Error(corrupt) when it is damaged.
    void run(const std::function<void(std::uint16_t port)>& ready, const std::stop_token& stop);

  private:
    void round();
    void plan_anew();
    void want_plan();
    bool take_replan();
    void declare_again();
    // With the rules and channels of a declaration; what was told of before is in the catalog. Throws what
    // making a channel throws.
    std::shared_ptr<Watch> make_watch(const ServerDeclaration& declaration);
    std::shared_ptr<Watch> watch() const;
    void take_policies(const PolicyBook::Known& known);
    void mend_chains();
    void clean_up();
    void observe(const std::stop_token& stop);
    void judge(const std::stop_token& stop);
    Facts facts();
    void deliver(const std::stop_token& stop);
    void watch_over_watch(const std::stop_token& stop);
    void enter_deletions(const std::stop_token& stop);
    void carry_out_approved(const std::stop_token& stop);
    void look_soon();
    // What follows from the end of an operation, in the transaction that ends it.
    void follow(Database& database, const Operation& operation, const ExecutionOutcome& outcome);
    bool has_log_to_prune(const Operation& operation, const ExecutionOutcome& outcome);
    ServerDeclaration declaration() const;
    OperationWorld world() const;

    ServerEnvironment environment_;
    Clock& clock_;
    Random& random_;
    Logger& logger_;
    UnrepeatedLog lasting_; // of what is tried again and again
    FileDescriptor lock_;
    Catalog catalog_;
    Operations operations_;
    Audit audit_;
    DeletionTrail deletions_; // of the thread that observes
    AuditHeadKeeper heads_;   // as well
    ChainMender mender_;      // as well
    PolicyTrail policy_trail_;
    const std::string owner_; // of operations, leases and rounds: this process alone
    PolicyBook book_;
    RepositoryObserver observer_;
    PoliciesInEffect policies_;
    RepositoryDesk desk_;
    NewSnapshots new_snapshots_;
    std::stop_source answering_; // what answers take long for ends with it
    SnapshotFates fates_;
    ChecklistBook checklists_;
    ChecklistKeeper checklist_keeper_;
    PlanRunner plans_;
    ProgramExecutor executor_;
    LogPrunes log_prunes_; // for the windows of policies
    OperationRunner runner_;
    api::ApiServer api_;
    mutable std::mutex mutex_; // of the declaration, its watch, and what wakes the observer
    std::shared_ptr<Watch> watch_;
    std::condition_variable_any changed_;
    bool look_again_ = false, judge_again_ = false;
    std::string look_problem_; // why the last look failed; empty: it did not
    std::optional<NewestSnapshots> newest_;
    std::shared_ptr<const RepositoryView> planned_by_;
    bool replan_ = true;
    std::optional<Duration> cleaned_up_;
};

} // namespace holdfast
