#include "soak/soak.h"

#include "postgres/receive/receive_wal.h"
#include "support/cluster_rows.h"

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <regex>
#include <stdexcept>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <pwd.h>
#include <unistd.h>

namespace holdfast::soak {

using namespace std::chrono_literals;
using namespace postgres;
using test::PostgresServer;
using test::PostgresStop;
using test::ProgramRun;
using test::RunningProgram;
namespace fs = std::filesystem;

namespace {

constexpr const char* source_name = "orders";
// The server's log, which a soak of hours writes a lot of, must be kept by the slot alone.
constexpr const char* server_settings =
    "wal_keep_size = 0\nmax_wal_size = 64MB\nmin_wal_size = 32MB\nmax_slot_wal_keep_size = -1\n"
    "wal_receiver_timeout = 5s\nwal_sender_timeout = 10s\nautovacuum_naptime = 5s\ncheckpoint_timeout = 30s\n"
    "log_min_messages = error\n";
constexpr unsigned most_snapshots = 3;
constexpr int exit_incomplete = 3;
// What was written shortly before a receiver tells its state may not have reached it, on a machine that is
// busy.
constexpr Duration on_the_way = 2s;

std::optional<uid_t> server_user() {
    if (::geteuid() != 0) return std::nullopt;
    return ::getpwnam("postgres")->pw_uid;
}

// What a program said of its failure, in one line, the same for the same reason: without ids and numbers.
std::string reason_of(const ProgramRun& run) {
    static const std::regex ids("\\b[0-9a-f]{8,}\\b|[0-9]+"), spaces("\\s+");
    const std::string said = std::regex_replace(run.error.substr(0, 600), ids, "#");
    return fmt::format("exit code {}: {}", run.exit_code, std::regex_replace(said, spaces, " "));
}

} // namespace

void Acknowledged::add(unsigned writer, std::int64_t number) {
    const Timestamp now = system_clock().now();
    const std::scoped_lock lock(mutex_);
    told_[writer].emplace_back(now, number);
}

std::map<unsigned, std::int64_t> Acknowledged::until(Timestamp time) const {
    const std::scoped_lock lock(mutex_);
    std::map<unsigned, std::int64_t> highest;
    for (const auto& [writer, told] : told_) {
        const auto behind =
            std::ranges::upper_bound(told, time, {}, [](const auto& one) { return one.first; });
        if (behind != told.begin()) highest[writer] = std::prev(behind)->second;
    }
    return highest;
}

std::uint64_t Acknowledged::count() const {
    const std::scoped_lock lock(mutex_);
    std::uint64_t count = 0;
    for (const auto& [writer, told] : told_) count += told.size();
    return count;
}

Soak::Soak(const SoakSettings& settings) : settings_(settings), random_(settings.seed) {}

Soak::~Soak() {
    for (std::jthread& writer : writers_) writer.request_stop();
    // Writers that wait for a synchronous commit are let go.
    if (server_ && server_->running()) server_->stop(PostgresStop::kill);
}

void Soak::run() {
    begin();
    const auto end = std::chrono::steady_clock::now() + settings_.duration;
    auto prove_next = std::chrono::steady_clock::now() + 10s;
    while (std::chrono::steady_clock::now() < end) {
        keep_receiver();
        keep_busy(backup_, {"backup", source_name}, "backup");
        forget_old();
        wait(std::chrono::milliseconds(500 + random_.below(2500)));
        strike();
        if (std::chrono::steady_clock::now() >= prove_next) {
            prove();
            prove_next = std::chrono::steady_clock::now() + 8s;
            if (random_.below(3) == 0) set_synchronous(!synchronous_);
        }
    }
    prove();
    counts_.acknowledged = acknowledged_.count();
}

void Soak::begin() {
    server_ = std::make_unique<PostgresServer>(test::PostgresOptions{
        .version = settings_.version, .wal_segment_mib = 16, .settings = server_settings});
    source_ = std::make_unique<test::ProtectedSource>(
        source_name, fmt::format("connection = '{}'\ndata_directory = '{}'\nslot = 'holdfast'\n",
                                 server_->conninfo(), server_->data_directory()));
    server_->execute("CREATE TABLE public.told (writer int, number bigint, PRIMARY KEY (writer, number))");
    server_->execute("CREATE TABLE public.counters (writer int PRIMARY KEY, number bigint)");
    server_->execute(
        "CREATE TABLE public.ballast AS SELECT i, md5(i::text) AS t FROM generate_series(1, 150000) i");
    start_receiver();
    const ProgramRun first = start({"backup", source_name})->finish();
    if (first.exit_code != 0) throw std::runtime_error("the first backup failed: " + first.error);
    for (unsigned writer = 0; writer < settings_.writers; ++writer)
        writers_.emplace_back([this, writer](const std::stop_token& stop) { write(writer, stop); });
}

// Numbers in order, each in a transaction with its counter: what is lost leaves a hole, or a counter behind.
void Soak::write(unsigned writer, const std::stop_token& stop) {
    std::optional<Connection> connection;
    std::int64_t number = 1;
    while (!stop.stop_requested()) {
        try {
            if (!connection) connection.emplace(server_->connect());
            connection->execute(
                fmt::format(
                    "BEGIN; INSERT INTO public.told VALUES ({0}, {1}) ON CONFLICT DO NOTHING; "
                    "INSERT INTO public.counters VALUES ({0}, {1}) ON CONFLICT (writer) DO UPDATE SET "
                    "number = excluded.number; UPDATE public.ballast SET t = t WHERE i = {2}; COMMIT",
                    writer, number, 1 + number * 37 % 150'000),
                stop);
            acknowledged_.add(writer, number);
            ++number;
        } catch (const Error&) {
            // It was not acknowledged; whether it is there does not matter, and it is told again.
            connection.reset();
            std::this_thread::sleep_for(50ms);
        }
        std::this_thread::sleep_for(3ms);
    }
}

Soak::Program Soak::start(std::vector<std::string> words) const {
    words.insert(words.begin(), {source_->program(), "--quiet", "--config", source_->configuration_file()});
    return std::make_unique<RunningProgram>(
        words, test::RunOptions{.environment = {{"HOME", source_->new_place("home")}, {"TMPDIR", "/tmp"}},
                                .user = server_user()});
}

void Soak::start_receiver() {
    std::vector<std::string> words{"wal",           "receive",          source_name,
                                   "--create-slot", "--flush-interval", synchronous_ ? "0" : "0.5"};
    if (synchronous_) words.emplace_back("--synchronous");
    receiver_ = start(words);
}

void Soak::end_receiver(int signal) {
    if (!receiver_) return;
    receiver_->signal(signal);
    receiver_->finish();
    receiver_.reset();
}

// A receiver that ends by itself has found something that waiting does not mend: only its first moments may
// do that, when the server or the repository is just away.
void Soak::keep_receiver() {
    if (receiver_ && !receiver_->ended()) return;
    if (receiver_) {
        const ProgramRun run = receiver_->finish();
        ++counts_.events["receiver ended by itself"];
        ++counts_.reasons["receiver: " + reason_of(run)];
        if (run.error.find("is lost") != std::string::npos)
            throw std::runtime_error("log was lost: " + run.error);
    }
    start_receiver();
}

// A program that ended is looked at, and started anew.
void Soak::keep_busy(Program& program, std::vector<std::string> words, const std::string& what) {
    if (program && !program->ended()) return;
    look_after(program, what);
    program = start(std::move(words));
}

void Soak::look_after(Program& program, const std::string& what) {
    if (!program) return;
    const ProgramRun run = program->finish();
    program.reset();
    if (run.exit_code == 0) {
        ++counts_.events[what + " done"];
    } else {
        // Such as a prune that waits for a run that has not ended, or was killed.
        ++counts_.events[what + (run.exit_code == exit_incomplete ? " partly done" : " failed")];
        ++counts_.reasons[fmt::format("{}: {}", what, reason_of(run))];
        // Of damage nothing but damage is the cause.
        for (const char* word : {"corrupt", "defect", "internal", "damaged", "does not decode"})
            if (run.error.find(word) != std::string::npos)
                throw std::runtime_error(fmt::format("{} says: {}", what, run.error));
    }
}

void Soak::forget_old() {
    if (repository_away_ || (prune_ && !prune_->ended())) return;
    look_after(prune_, "prune");
    std::vector<std::string> forget{"forget"};
    const std::vector<Snapshot> all = list_snapshots(source_->repository().context()).snapshots;
    for (std::size_t i = 0; i + most_snapshots < all.size(); ++i) forget.push_back(all[i].id.hex());
    if (forget.size() == 1) return;
    Program program = start(forget);
    look_after(program, "forget");
    prune_ = start({"prune"});
}

// One thing at random.
void Soak::strike() {
    const auto count = [&](const char* what) { ++counts_.events[what]; };
    switch (random_.below(8)) {
    case 0:
        count("receiver killed");
        end_receiver(SIGKILL);
        return;
    case 1:
        count("receiver stopped");
        end_receiver(SIGTERM);
        return;
    case 2:
        if (!backup_) return;
        count("backup killed");
        backup_->signal(SIGKILL);
        backup_->finish();
        backup_.reset();
        return;
    case 3:
        if (!prune_) return;
        count("prune killed");
        prune_->signal(SIGKILL);
        prune_->finish();
        prune_.reset();
        return;
    case 4: {
        const bool kill = random_.below(2) == 0;
        count(kill ? "server killed" : "server crashed");
        server_->stop(kill ? PostgresStop::kill : PostgresStop::immediate);
        wait(std::chrono::milliseconds(random_.below(1500)));
        server_->start();
        return;
    }
    case 5: { // as of a disk that is not mounted
        count("repository away");
        const std::string away = source_->repository_directory() + ".away";
        repository_away_ = true;
        fs::rename(source_->repository_directory(), away);
        wait(std::chrono::milliseconds(500 + random_.below(3000)));
        if (fs::exists(source_->repository_directory()))
            throw std::runtime_error("somebody made a repository where none was");
        fs::rename(away, source_->repository_directory());
        repository_away_ = false;
        return;
    }
    case 6:
        if (!receiver_) return;
        count("receiver frozen");
        receiver_->signal(SIGSTOP);
        wait(std::chrono::milliseconds(random_.below(3000)));
        receiver_->signal(SIGCONT);
        return;
    default:
        count("everything killed");
        end_receiver(SIGKILL);
        server_->stop(PostgresStop::kill);
        for (Program* program : {&backup_, &prune_}) {
            if (!*program) continue;
            (*program)->signal(SIGKILL);
            (*program)->finish();
            program->reset();
        }
        prove();
        server_->start();
    }
}

// From now on commits wait for the repository, or no longer do. What was acknowledged before is by then
// stored.
void Soak::set_synchronous(bool synchronous) {
    ++counts_.events[synchronous ? "became synchronous" : "became asynchronous"];
    end_receiver(SIGKILL);
    synchronous_ = synchronous;
    start_receiver();
    server_->add_settings(fmt::format("synchronous_standby_names = '{}'\n", synchronous ? "holdfast" : ""));
    server_->reload();
    if (!synchronous) return;
    // Acknowledgements of before the change may not be stored yet: wait until the archive has what is there
    // now.
    const Lsn now = *parse_lsn(server_->query_value("SELECT pg_current_wal_flush_lsn()"));
    const auto patience = std::chrono::steady_clock::now() + 120s;
    for (;;) {
        const auto told = read_receive_state(receive_state_path(source_->used_spool_directory()));
        if (told && told->archived.lsn >= now) return;
        keep_receiver();
        if (std::chrono::steady_clock::now() > patience)
            throw std::runtime_error("the receiver does not catch up: " +
                                     (told ? to_json_text(*told) : "no state"));
        std::this_thread::sleep_for(50ms);
    }
}

// What has to be in the repository at this moment.
std::map<unsigned, std::int64_t> Soak::must_be_there(std::string& why) const {
    if (synchronous_) {
        why = "every acknowledged one, since commits are synchronous";
        return acknowledged_.until(system_clock().now());
    }
    const auto told = read_receive_state(receive_state_path(source_->used_spool_directory()));
    if (!told) return {};
    const Timestamp until =
        told->time -
        std::chrono::duration_cast<Duration>(std::chrono::duration<double>(told->exposure_seconds)) -
        on_the_way;
    why = fmt::format("those acknowledged until {}: at {} the receiver told of an exposure of {:.3f} s",
                      to_rfc3339(until), to_rfc3339(told->time), told->exposure_seconds);
    return acknowledged_.until(until);
}

// Recovers to the latest in a second server, with nothing but what the repository has.
void Soak::prove() {
    std::string why;
    const std::map<unsigned, std::int64_t> expected = must_be_there(why);
    PostgresRestore what = source_->restore_to(RecoverToEnd{});
    // It must not depend on the spool of the receiver.
    const std::unique_ptr<PostgresServer> recovered = source_->recover(what);
    ++counts_.recoveries;
    std::map<unsigned, std::int64_t> is;
    for (const QueryResult::Row& row :
         recovered
             ->query("SELECT t.writer, count(*), max(t.number), c.number FROM public.told t FULL JOIN "
                     "public.counters c ON c.writer = t.writer GROUP BY t.writer, c.number")
             .rows) {
        const unsigned writer = static_cast<unsigned>(std::stoul(row[0].value_or("999")));
        const std::int64_t highest = std::stoll(row[2].value_or("0"));
        if (row[1] != row[2] || row[2] != row[3])
            throw std::runtime_error(
                fmt::format("of writer {} there are {} transactions, the last is {}, and its "
                            "counter {}",
                            writer, *row[1], highest, row[3].value_or("missing")));
        is[writer] = highest;
    }
    for (const auto& [writer, number] : expected) {
        counts_.checked += static_cast<std::uint64_t>(number);
        if (is[writer] < number)
            throw std::runtime_error(
                fmt::format("LOST: writer {} was told that {} is committed, and recovered is {} "
                            "({})\n{}",
                            writer, number, is[writer], why, recovered->log()));
    }
    if (random_.below(4) == 0 && settings_.version != 13) {
        const ProgramRun checked =
            recovered->run_tool("pg_amcheck", {"--all", "--heapallindexed", "--install-missing"});
        if (checked.exit_code != 0) throw std::runtime_error("pg_amcheck: " + checked.out + checked.error);
    }
    recovered->stop(PostgresStop::kill);
    fs::remove_all(what.target);
}

void Soak::wait(std::chrono::milliseconds duration) { std::this_thread::sleep_for(duration); }

} // namespace holdfast::soak
