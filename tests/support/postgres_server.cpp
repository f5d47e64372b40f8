#include "support/postgres_server.h"

#include "base/error.h"

#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <mutex>
#include <sstream>
#include <stdexcept>
#include <thread>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <pwd.h>
#include <sys/ipc.h>
#include <sys/shm.h>
#include <unistd.h>

namespace holdfast::test {

namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

// Long enough for a loaded machine; a test never waits for it unless something is wrong.
constexpr auto patience = 120s;

std::string content_of(const fs::path& path) {
    std::stringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
}

// The user that runs servers: nothing when it is ours.
const passwd* server_user() {
    if (::geteuid() != 0) return nullptr;
    const passwd* user = ::getpwnam("postgres");
    if (user == nullptr) throw std::runtime_error("there is no user postgres to run servers as");
    return user;
}

void give_to_server(const fs::path& path) {
    const passwd* user = server_user();
    if (user != nullptr && ::lchown(path.c_str(), user->pw_uid, user->pw_gid) != 0)
        throw std::runtime_error("cannot give " + path.string() + " to the server");
}

// A dead process that nobody has waited for yet holds nothing any more.
bool process_exists(pid_t process) {
    const std::string state = content_of(fmt::format("/proc/{}/stat", process));
    const std::size_t name_end = state.rfind(')');
    return name_end != std::string::npos && !state.substr(name_end).starts_with(") Z");
}

std::vector<pid_t> children_of(pid_t process) {
    std::ifstream list(fmt::format("/proc/{0}/task/{0}/children", process));
    std::vector<pid_t> children;
    for (pid_t child; list >> child;) children.push_back(child);
    return children;
}

template <typename Condition>
bool wait_for(Condition&& condition) {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > deadline) return false;
        std::this_thread::sleep_for(10ms);
    }
    return true;
}

} // namespace

std::vector<int> versions_to_test() {
    const char* const named = std::getenv("HOLDFAST_TEST_POSTGRES_VERSIONS");
    std::istringstream text(named != nullptr ? named : "13 15 17 18");
    return {std::istream_iterator<int>(text), {}};
}

bool has_all_programs(int version) { return version == 15 || version >= 17; }

const std::string& postgres_programs(int version) {
    static std::mutex mutex;
    static std::map<int, std::string> folders;
    const std::scoped_lock lock(mutex);
    std::string& folder = folders[version];
    if (folder.empty()) {
        const ProgramRun run = run_program(
            {std::string(HOLDFAST_SERVER_SCRIPTS) + "/postgres-versions.sh", std::to_string(version)},
            {.environment = {{"HOME", std::getenv("HOME") != nullptr ? std::getenv("HOME") : "/"}}});
        if (run.exit_code != 0)
            throw std::runtime_error(fmt::format("no PostgreSQL {}: {}", version, run.error));
        folder = run.out.substr(0, run.out.find('\n'));
    }
    return folder;
}

PostgresServer::PostgresServer(PostgresOptions options) : options_(std::move(options)) {
    make_places();
    data_directory_ = directory_ / "data";
    make_cluster();
    if (options_.start) start();
}

PostgresServer::PostgresServer(OverDirectory, std::string data_directory, PostgresOptions options)
    : options_(std::move(options)), data_directory_(std::move(data_directory)) {
    make_places();
}

PostgresServer::~PostgresServer() {
    try {
        if (running()) stop(PostgresStop::kill);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "a test server did not stop: %s\n", error.what());
    }
}

void PostgresServer::give(const std::string& directory) {
    give_to_server(directory);
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(directory))
        give_to_server(entry.path());
}

std::unique_ptr<PostgresServer> PostgresServer::over(const std::string& data_directory,
                                                     PostgresOptions options) {
    give(data_directory);
    fs::permissions(data_directory, fs::perms::owner_all);
    return std::make_unique<PostgresServer>(OverDirectory{}, data_directory, std::move(options));
}

std::unique_ptr<PostgresServer> PostgresServer::standby_of(PostgresServer& primary, const std::string& slot,
                                                           const std::string& settings,
                                                           const std::vector<std::string>& copying) {
    PostgresOptions options = primary.options_;
    options.start = false;
    options.settings = settings;
    auto standby = std::make_unique<PostgresServer>(OverDirectory{}, std::string(), options);
    standby->data_directory_ = standby->directory_ / "data";
    primary.base_backup(standby->data_directory_, copying);
    std::ofstream(standby->data_directory_ + "/standby.signal").flush();
    give_to_server(standby->data_directory_ + "/standby.signal");
    standby->add_settings(
        fmt::format("primary_conninfo = '{} application_name=standby'\n", primary.conninfo()));
    if (!slot.empty()) standby->add_settings(fmt::format("primary_slot_name = '{}'\n", slot));
    standby->start();
    return standby;
}

PostgresServer& PostgresServer::shared(int version) {
    static std::mutex mutex;
    static std::map<int, std::unique_ptr<PostgresServer>> servers;
    const std::scoped_lock lock(mutex);
    std::unique_ptr<PostgresServer>& server = servers[version];
    if (!server) server = std::make_unique<PostgresServer>(PostgresOptions{.version = version});
    return *server;
}

void PostgresServer::make_places() {
    give_to_server(directory_.path());
    socket_directory_ = make_directory("socket");
}

void PostgresServer::make_cluster() const {
    std::vector<std::string> command{postgres_programs(version()) + "/initdb",
                                     "--pgdata=" + data_directory_,
                                     "--username=postgres",
                                     "--auth=trust",
                                     "--encoding=UTF8",
                                     "--locale=" + options_.locale,
                                     "--no-sync",
                                     fmt::format("--wal-segsize={}", options_.wal_segment_mib)};
    if (options_.checksums) command.emplace_back("--data-checksums");
    if (!options_.checksums && version() >= 18) command.emplace_back("--no-data-checksums"); // on by default
    const ProgramRun run = run_program(as_server_user(command), {.environment = {{"LC_ALL", "C"}}});
    if (run.exit_code != 0) throw std::runtime_error(fmt::format("initdb failed: {}{}", run.out, run.error));
    std::ofstream(data_directory_ + "/postgresql.conf", std::ios::app)
        << "shared_buffers = 16MB\nmax_connections = 40\nfsync = off\nlog_min_messages = info\n"
        // In the data directory: what a killed server leaves of it goes with the directory, not with the
        // machine.
        << "dynamic_shared_memory_type = mmap\n"
        << options_.settings << "\n";
}

std::vector<std::string> PostgresServer::as_server_user(const std::vector<std::string>& command) const {
    std::vector<std::string> whole{"/usr/bin/setpriv"};
    if (server_user() != nullptr)
        whole.insert(whole.end(), {"--reuid=postgres", "--regid=postgres", "--clear-groups"});
    whole.insert(whole.end(), {"--pdeathsig=QUIT", "--"});
    whole.insert(whole.end(), command.begin(), command.end());
    return whole;
}

void PostgresServer::start_without_waiting() {
    if (running()) throw std::runtime_error("the server runs already");
    std::vector<std::string> command =
        as_server_user({postgres_programs(version()) + "/postgres", "-D", data_directory_, "-k",
                        socket_directory_, "-c", "listen_addresses=", "-p", std::to_string(options_.port)});
    command.insert(command.end(), arguments_.begin(), arguments_.end());
    // What a restored directory was configured with does not matter here.
    command.insert(command.begin(), {"/bin/sh", "-c", "exec \"$@\" >>\"$0\" 2>&1", directory_ / "log"});
    postmaster_ = std::make_unique<RunningProgram>(command, RunOptions{.environment = {{"LC_ALL", "C"}}});
    process_ = postmaster_->process();
}

void PostgresServer::wait_until_ready() {
    std::string last;
    const bool ready = wait_for([&] {
        if (!running()) fail("the server ended");
        try {
            connect();
            return true;
        } catch (const Error& error) {
            if (!error.retryable()) throw;
            last = error.message();
            return false;
        }
    });
    if (!ready) fail("the server does not accept connections: " + last);
}

void PostgresServer::start() {
    start_without_waiting();
    wait_until_ready();
}

bool PostgresServer::running() { return postmaster_ && !postmaster_->ended(); }

void PostgresServer::stop(PostgresStop how) {
    if (!running()) throw std::runtime_error("the server does not run");
    std::vector<pid_t> processes;
    if (how == PostgresStop::kill) {
        postmaster_->signal(SIGSTOP); // makes no more children
        processes = children_of(process_);
        postmaster_->signal(SIGKILL);
        for (const pid_t child : processes) ::kill(child, SIGKILL);
    } else {
        postmaster_->signal(how == PostgresStop::fast ? SIGINT : SIGQUIT);
    }
    const bool ended = wait_for([&] {
        if (!postmaster_->ended()) return false;
        return std::none_of(processes.begin(), processes.end(), process_exists);
    });
    if (!ended) fail("the server does not stop");
    postmaster_.reset();
    if (how == PostgresStop::kill) remove_shared_memory();
}

void PostgresServer::remove_shared_memory() const {
    // Line 7 of postmaster.pid: key and identifier of the System V segment, which outlives a killed server.
    std::istringstream lines(content_of(data_directory_ + "/postmaster.pid"));
    std::string line;
    for (int i = 0; i < 7; ++i) std::getline(lines, line);
    long key = 0;
    int identifier = 0;
    if (std::istringstream(line) >> key >> identifier) ::shmctl(identifier, IPC_RMID, nullptr);
}

void PostgresServer::restart(PostgresStop how) {
    stop(how);
    start();
}

void PostgresServer::promote() {
    execute("SELECT pg_promote(false)");
    wait_until_writable();
}

void PostgresServer::wait_until_writable() {
    if (!wait_for([&] { return query_value("SELECT pg_is_in_recovery()") == "f"; }))
        fail("the server stays in recovery");
}

void PostgresServer::catch_up_with(PostgresServer& primary) {
    const std::string goal = primary.query_value("SELECT pg_current_wal_lsn()");
    const std::string sql = fmt::format("SELECT coalesce(pg_last_wal_replay_lsn() >= '{}', false)", goal);
    if (!wait_for([&] { return query_value(sql) == "t"; })) fail("the standby does not catch up");
}

std::string PostgresServer::conninfo(const std::string& database, const std::string& user) const {
    return fmt::format("host={} port={} dbname={} user={}", socket_directory_, options_.port, database, user);
}

postgres::Connection PostgresServer::connect(const std::string& database, const std::string& user) const {
    return postgres::Connection({.conninfo = conninfo(database, user), .catalog_only = false});
}

void PostgresServer::execute(const std::string& sql, const std::string& database) const {
    connect(database).execute(sql);
}

postgres::QueryResult PostgresServer::query(const std::string& sql, const std::string& database) const {
    return connect(database).query(sql);
}

std::string PostgresServer::query_value(const std::string& sql, const std::string& database) const {
    return connect(database).query_value(sql).value_or("");
}

void PostgresServer::add_settings(const std::string& lines) const {
    std::ofstream(data_directory_ + "/postgresql.auto.conf", std::ios::app) << lines << "\n";
}

void PostgresServer::reload() const {
    const std::string before = query_value("SELECT pg_conf_load_time()");
    execute("SELECT pg_reload_conf()");
    if (!wait_for([&] { return query_value("SELECT pg_conf_load_time()") != before; }))
        fail("the server does not read its configuration again");
}

std::string PostgresServer::log() const { return content_of(directory_ / "log"); }

pid_t PostgresServer::process() const { return process_; }

std::string PostgresServer::make_directory(const std::string& name) const {
    const std::string path = directory_ / name;
    fs::create_directory(path);
    fs::permissions(path, fs::perms::owner_all);
    give_to_server(path);
    return path;
}

void PostgresServer::base_backup(const std::string& directory,
                                 const std::vector<std::string>& arguments) const {
    std::vector<std::string> all{"--pgdata=" + directory, "--checkpoint=fast", "--no-sync",
                                 "--wal-method=stream"};
    all.insert(all.end(), arguments.begin(), arguments.end());
    const ProgramRun run = run_tool("pg_basebackup", all);
    if (run.exit_code != 0) fail("pg_basebackup failed: " + run.error);
}

std::vector<std::string> PostgresServer::tool_command(const std::string& tool,
                                                      const std::vector<std::string>& arguments) const {
    std::string program = postgres_programs(version()) + "/" + tool;
    // Files are of one layout from 13 to 16; a server is only asked by tools that are not older than it is.
    const int other = tool == "pg_basebackup" && version() > 15 ? 17 : 15;
    if (!fs::exists(program)) program = postgres_programs(other) + "/" + tool;
    std::vector<std::string> command{program};
    command.insert(command.end(), arguments.begin(), arguments.end());
    return as_server_user(command);
}

ProgramRun PostgresServer::run_tool(const std::string& tool,
                                    const std::vector<std::string>& arguments) const {
    return start_tool(tool, arguments)->finish();
}

std::unique_ptr<RunningProgram> PostgresServer::start_tool(const std::string& tool,
                                                           const std::vector<std::string>& arguments) const {
    return std::make_unique<RunningProgram>(
        tool_command(tool, arguments), RunOptions{.environment = {{"LC_ALL", "C"},
                                                                  {"PGHOST", socket_directory_},
                                                                  {"PGPORT", std::to_string(options_.port)},
                                                                  {"PGUSER", "postgres"},
                                                                  {"PGDATABASE", "postgres"}}});
}

void PostgresServer::fail(const std::string& what) const {
    throw std::runtime_error(fmt::format("PostgreSQL {}: {}\n--- its log:\n{}", version(), what, log()));
}

} // namespace holdfast::test
