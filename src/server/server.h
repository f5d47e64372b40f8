// The server: it asks for what policies plan, carries operations out, and enforces retention, by itself.
#pragma once

#include "base/file_descriptor.h"
#include "base/log.h"
#include "catalog/audit.h"
#include "catalog/catalog.h"
#include "catalog/operations.h"
#include "execution/operation_runner.h"
#include "execution/plan_runner.h"
#include "execution/program_executor.h"
#include "server/planned_operations.h"

#include <functional>
#include <map>
#include <mutex>
#include <stop_token>
#include <string>
#include <vector>

namespace holdfast {

// What is declared, and may be declared anew while the server runs.
struct ServerDeclaration {
    std::vector<Policy> policies;
    std::map<std::string, std::string> sources; // the kind of each
};

struct ServerEnvironment {
    ServerSettings settings;
    ServerDeclaration declaration;
    ProgramWords program; // that carries operations out
    // Whether what is declared is to be read again, once; asked each second. What is under way goes on.
    std::function<bool()> wants_reload;
    // Reads it. Throws Error(usage), and everything stays as it is.
    std::function<ServerDeclaration()> declare_again;
    // Asks the repository. Throws what opening and listing it throw.
    std::function<NewestSnapshots()> newest_snapshots;
};

// Clock, random and logger must outlive it.
class Server {
  public:
    // Makes the state directory and opens the catalog. Throws Error(usage) when another server has the state
    // directory, and what opening the catalog throws.
    Server(ServerEnvironment environment, Clock& clock, Random& random, Logger& logger);
    ~Server();

    // Works until `stop`; what is under way is then put back, for whoever comes next.
    void run(const std::stop_token& stop);

  private:
    void round();
    void plan_anew();
    void ask_repository();
    void declare_again();
    void clean_up();
    void after(const Operation& operation, const ExecutionOutcome& outcome);
    OperationWorld world() const;

    ServerEnvironment environment_;
    Clock& clock_;
    Logger& logger_;
    FileDescriptor lock_;
    Catalog catalog_;
    Operations operations_;
    Audit audit_;
    PlanRunner plans_;
    ProgramExecutor executor_;
    OperationRunner runner_;
    mutable std::mutex mutex_; // of the declaration
    std::optional<NewestSnapshots> newest_;
    bool replan_ = true;
    Duration asked_repository_{}, cleaned_up_{};
    bool asked_ = false, cleaned_ = false;
};

} // namespace holdfast
