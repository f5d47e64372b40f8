#include "postgres/recovery/start_cluster.h"

#include "base/clock.h"
#include "base/file_descriptor.h"
#include "postgres/recovery/restore_cluster.h"
#include "postgres/recovery/server_program.h"
#include "postgres/wal/timeline_history.h"

#include <algorithm>
#include <charconv>
#include <csignal>
#include <filesystem>
#include <fstream>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace holdfast::postgres {

namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

constexpr std::size_t longest_socket_directory_bytes = 85; // of 107 with the name of the socket
constexpr std::size_t largest_log_bytes = 64u << 20;
constexpr std::size_t told_log_bytes = 4000;
constexpr std::uint64_t least_memory_bytes = std::uint64_t{32} << 20;
constexpr std::size_t most_starts = 8; // as many as there are settings that may be too low, and more
constexpr Duration pause = milliseconds(20);
constexpr Duration stop_patience = std::chrono::seconds(20);

double seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

// What the server has said since it was started. Its messages are not translated.
class ServerLog {
  public:
    explicit ServerLog(std::string path) : path_(std::move(path)) {
        std::error_code error;
        const auto size = fs::file_size(path_, error);
        begin_ = error ? 0 : size;
    }
    const std::string& path() const { return path_; }

    // Takes what is new.
    const std::string& text() {
        const FileDescriptor file = open_file(path_, O_RDONLY);
        Bytes buffer(65536);
        while (text_.size() < largest_log_bytes) {
            const std::size_t got = read_at(file.get(), begin_ + text_.size(), buffer, path_);
            text_ += as_text(ByteView(buffer).first(got));
            if (got < buffer.size()) break;
        }
        return text_;
    }
    // Forgets what was said so far.
    void begin_again() {
        begin_ += text_.size();
        text_.clear();
    }
    bool has(std::string_view what) const { return text_.find(what) != std::string::npos; }
    // The rest of the last line that has `mark`, behind it; empty when none does.
    std::string last_behind(std::string_view mark) const {
        const std::size_t at = text_.rfind(mark);
        if (at == std::string::npos) return {};
        const std::size_t begin = at + mark.size();
        return text_.substr(begin, text_.find('\n', begin) - begin);
    }
    std::string end() const {
        if (text_.size() <= told_log_bytes) return text_;
        return text_.substr(text_.find('\n', text_.size() - told_log_bytes) + 1);
    }

  private:
    const std::string path_;
    std::uint64_t begin_ = 0;
    std::string text_;
};

std::string line_of(const std::string& path, std::size_t number) {
    std::ifstream file(path);
    std::string line;
    for (std::size_t i = 0; i < number; ++i) {
        if (!std::getline(file, line)) return {};
    }
    return line;
}

// The segment that the startup process is at, as it shows in its title; empty when it does not.
std::string recovering_segment(pid_t postmaster) {
    std::ifstream list(fmt::format("/proc/{}/task/{}/children", postmaster, postmaster));
    for (pid_t child = 0; list >> child;) {
        std::ifstream title_file(fmt::format("/proc/{}/cmdline", child));
        std::string title;
        std::getline(title_file, title, '\0');
        const std::string_view mark = "recovering ";
        const std::size_t at = title.find(mark);
        if (at != std::string::npos) return title.substr(at + mark.size(), 24);
    }
    return {};
}

// A setting that a standby needs to be as high as its primary's.
struct LowSetting {
    std::string name;
    std::uint64_t needed = 0;
};

// What the server says is "NAME = 20 is a lower setting than on the primary server, where its value was 50",
// and before 14 the same in brackets.
std::vector<LowSetting> low_settings(std::string_view log) {
    constexpr std::string_view mark = " is a lower setting than on the ", behind = "value was ";
    std::vector<LowSetting> all;
    for (std::size_t at = log.find(mark); at != std::string_view::npos; at = log.find(mark, at + 1)) {
        const std::string_view before = log.substr(0, at);
        const std::size_t equals = before.rfind(" = ");
        const std::size_t value = log.find(behind, at);
        if (equals == std::string_view::npos || value == std::string_view::npos) continue;
        const std::size_t name = before.rfind(' ', equals - 1) + 1;
        LowSetting low{std::string(before.substr(name, equals - name)), 0};
        const std::string_view number = log.substr(value + behind.size());
        std::from_chars(number.data(), number.data() + number.size(), low.needed);
        if (low.needed != 0 && std::ranges::find(all, low.name, &LowSetting::name) == all.end())
            all.push_back(std::move(low));
    }
    return all;
}

class Start {
  public:
    Start(const StartSettings& settings, Progress& progress, std::stop_token stop)
        : settings_(settings),
          progress_(progress),
          stop_(std::move(stop)),
          log_(settings.log_file.empty() ? settings.data_directory + "/holdfast-recovery.log"
                                         : settings.log_file) {}

    StartedCluster start() {
        check_limits();
        choose_place();
        make_configuration();
        const std::string program = find_server_program(settings_.version, settings_.bin_directory);
        for (std::size_t i = 0; i < most_starts; ++i) {
            if (start_once(program)) return std::move(result_);
            log_.begin_again();
        }
        throw StartFailed(ErrorCode::unavailable, "the server finds its settings too low again and again",
                          fmt::format("{} has all that it said", log_.path()), log_.end());
    }

  private:
    void check_limits() const {
        if (settings_.memory_bytes != 0 && settings_.memory_bytes < least_memory_bytes) {
            throw Error(ErrorCode::usage,
                        fmt::format("no server runs in {} MiB", settings_.memory_bytes >> 20),
                        fmt::format("give it {} MiB or more", least_memory_bytes >> 20));
        }
    }

    // False when it must be started anew, with settings that were raised.
    bool start_once(const std::string& program) {
        const ServerLaunch launch{program,     settings_.data_directory, command_line(),
                                  log_.path(), settings_.processors,     settings_.niceness};
        progress_.set_phase("starting");
        progress_.set_total(settings_.log_end > settings_.log_begin ? settings_.log_end - settings_.log_begin
                                                                    : 0);
        progress_.set_done(0, 0);
        if (started_ == Duration{}) started_ = system_clock().steady();
        ended_ = false;
        result_.process = launch_server(launch);
        try {
            if (!follow()) {
                end_server();
                return false;
            }
            look_at_the_end();
        } catch (...) {
            end_server();
            throw;
        }
        return true;
    }

    void choose_place() {
        result_.socket_directory = settings_.socket_directory;
        if (result_.socket_directory.empty()) {
            result_.socket_directory = settings_.data_directory.size() <= longest_socket_directory_bytes
                                           ? settings_.data_directory
                                           : "/tmp";
        }
        result_.port = settings_.port;
        result_.log_file = log_.path();
        result_.connection =
            fmt::format("host={} port={} dbname=postgres", quoted(result_.socket_directory), settings_.port);
    }

    // As connection strings have it.
    static std::string quoted(const std::string& value) {
        if (value.find_first_of(" '\\") == std::string::npos) return value;
        std::string text = "'";
        for (const char c : value) {
            if (c == '\'' || c == '\\') text += '\\';
            text += c;
        }
        return text + "'";
    }

    // Distributions keep these elsewhere; what they said there is not known. The connection of the owner
    // alone is let in, through the socket.
    void make_configuration() const {
        put_if_missing("postgresql.conf", "# Made by holdfast: the snapshot had no configuration.\n");
        put_if_missing("pg_hba.conf", "# Made by holdfast: the snapshot had no configuration.\n"
                                      "local all all peer\n");
        put_if_missing("pg_ident.conf", "");
    }
    void put_if_missing(std::string_view name, std::string_view content) const {
        const std::string path = fmt::format("{}/{}", settings_.data_directory, name);
        if (fs::exists(path)) return;
        struct stat owner{};
        if (::stat(settings_.data_directory.c_str(), &owner) != 0)
            throw system_error(errno, settings_.data_directory);
        const FileDescriptor file = open_file(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
        write_all(file.get(), as_bytes(content), path);
        if (::geteuid() == 0 && ::fchown(file.get(), owner.st_uid, owner.st_gid) != 0)
            throw system_error(errno, path);
    }

    // These win over what the restored configuration says of another machine, or of the original.
    std::vector<std::pair<std::string, std::string>> command_line() const {
        std::vector<std::pair<std::string, std::string>> all{
            {"config_file", settings_.data_directory + "/postgresql.conf"},
            {"data_directory", settings_.data_directory},
            {"hba_file", settings_.data_directory + "/pg_hba.conf"},
            {"ident_file", settings_.data_directory + "/pg_ident.conf"},
            {"external_pid_file", ""},
            {"port", fmt::format("{}", settings_.port)},
            {"unix_socket_directories", fmt::format("\"{}\"", result_.socket_directory)},
            {"listen_addresses", settings_.listen_addresses},
            {"archive_mode", "off"},
            {"max_logical_replication_workers", "0"},
            {"synchronous_standby_names", ""},
            {"logging_collector", "off"},
            {"log_destination", "stderr"},
            {"log_min_messages", "warning"},
            {"lc_messages", "C"},
            // Without it a server does not refuse to recover with smaller limits than the original's.
            {"hot_standby", queries_while_recovering() ? "on" : "off"},
        };
        if (settings_.listen_addresses.empty()) all.emplace_back("ssl", "off");
        add_limits(all);
        all.insert(all.end(), result_.raised.begin(), result_.raised.end());
        all.insert(all.end(), settings_.settings.begin(), settings_.settings.end());
        return all;
    }

    // The restored settings are those of the original's machine.
    void add_limits(std::vector<std::pair<std::string, std::string>>& all) const {
        const auto kib = [&](const char* name, std::uint64_t bytes, std::uint64_t least_bytes) {
            all.emplace_back(name, fmt::format("{}kB", std::max(bytes, least_bytes) >> 10));
        };
        if (const std::uint64_t memory = settings_.memory_bytes; memory != 0) {
            kib("shared_buffers", memory / 4, 1u << 20);
            kib("effective_cache_size", memory / 2, 1u << 20);
            kib("work_mem", memory / 64, 64u << 10);
            kib("maintenance_work_mem", memory / 16, 1u << 20);
            kib("autovacuum_work_mem", memory / 32, 1u << 20);
            all.emplace_back("autovacuum_max_workers", "1");
            all.emplace_back("wal_buffers", "-1");
            all.emplace_back("huge_pages", "off");
        }
        if (settings_.processors != 0) {
            all.emplace_back("max_parallel_workers", fmt::format("{}", settings_.processors));
            all.emplace_back("max_parallel_workers_per_gather",
                             fmt::format("{}", std::min(settings_.processors - 1, 2U)));
        }
    }

    // Whether it says that it does not go on because of settings, which are then raised.
    bool raise_settings() {
        bool any = false;
        for (const LowSetting& low : low_settings(log_.text())) {
            const auto is_this = [&](const auto& setting) { return setting.first == low.name; };
            if (std::ranges::any_of(settings_.settings, is_this)) continue; // as it was asked for
            std::erase_if(result_.raised, is_this);
            result_.raised.emplace_back(low.name, fmt::format("{}", low.needed));
            any = true;
        }
        return any;
    }

    // --- While it recovers --------------------------------------------------------------------------------

    // Until it accepts queries; false when it has to be started anew.
    bool follow() {
        bool redo = false, done = false;
        for (;;) {
            if (const auto status = ended(result_.process)) {
                ended_ = true;
                log_.text();
                if (raise_settings()) return false;
                if (!shut_down_at_target(*status)) fail(*status);
                result_.process = 0;
                result_.recovery_seconds =
                    seconds(system_clock().steady() - started_) - result_.start_seconds;
                return true;
            }
            if (log_.text().find("hot standby is not possible") != std::string::npos && raise_settings())
                return false;
            const Duration now = system_clock().steady() - started_;
            if (!redo && log_.has("redo starts at")) {
                redo = true;
                result_.start_seconds = seconds(now);
                progress_.set_phase("recovering");
            }
            if (redo && !done && log_.has("redo done at")) {
                done = true;
                result_.recovery_seconds = seconds(now) - result_.start_seconds;
                progress_.set_phase("getting ready");
            }
            if (redo && !done) show_progress();
            if (is_ready()) {
                if (!redo) result_.start_seconds = seconds(now);
                if (!done) result_.recovery_seconds = seconds(now) - result_.start_seconds;
                result_.ready_seconds = seconds(now) - result_.start_seconds - result_.recovery_seconds;
                return true;
            }
            if (!system_clock().sleep_for(pause, stop_))
                throw Error(ErrorCode::cancelled, "stopped before it was done");
        }
    }

    // The server writes what it is up to into its file. With queries while it recovers, "ready" is said as
    // soon as these are answered; then its log alone tells whether it has ended recovery.
    bool is_ready() {
        const std::string pid_file = settings_.data_directory + "/postmaster.pid";
        if (line_of(pid_file, 1) != fmt::format("{}", result_.process)) return false;
        const std::string status = line_of(pid_file, 8);
        if (!status.starts_with("ready")) return false;
        result_.writable =
            !queries_while_recovering() || log_.has("database system is ready to accept connections");
        return result_.writable || settings_.standby || log_.has("pausing at the end of recovery");
    }

    bool shut_down_at_target(int status) const {
        return settings_.action == TargetAction::shutdown && WIFEXITED(status) && WEXITSTATUS(status) == 0 &&
               log_.has("shutdown at recovery target");
    }

    bool queries_while_recovering() const {
        return settings_.standby || settings_.action == TargetAction::pause;
    }

    void show_progress() {
        const std::string name = recovering_segment(result_.process);
        if (name.size() != 24 || !settings_.log_begin) return;
        if (segment_bytes_ == 0) segment_bytes_ = segment_bytes();
        const auto segment = parse_segment_name(name, segment_bytes_);
        if (segment && segment->begin > settings_.log_begin) {
            progress_.set_done(
                std::min<std::uint64_t>(segment->begin - settings_.log_begin, progress_.total_bytes()), 0);
        }
    }
    std::uint64_t segment_bytes() const {
        return parse_control_file(
                   read_file(fmt::format("{}/{}", settings_.data_directory, control_file_path), 1u << 20))
            .wal_segment_bytes;
    }

    // --- When it has ended --------------------------------------------------------------------------------

    void look_at_the_end() {
        result_.last_commit = log_.last_behind("last completed transaction was at log time ");
        const std::string timeline = log_.last_behind("selected new timeline ID: ");
        std::from_chars(timeline.data(), timeline.data() + timeline.size(), result_.timeline);
        if (result_.timeline != 0) {
            const std::string path =
                fmt::format("{}/pg_wal/{}", settings_.data_directory, history_name(result_.timeline));
            const Bytes text = read_file(path, 1u << 20);
            const TimelineHistory history = TimelineHistory::parse(result_.timeline, as_text(text));
            if (!history.ancestors().empty()) result_.recovered_to = history.ancestors().back().end;
        }
        if (!result_.writable || settings_.standby) return;
        if (settings_.must_reach && result_.recovered_to && result_.recovered_to < settings_.must_reach) {
            throw StartFailed(ErrorCode::not_found,
                              fmt::format("the recovery ended at {}, though the log goes on to {} at least",
                                          result_.recovered_to.str(), settings_.must_reach.str()),
                              fmt::format("its restore_command failed: {} says why", log_.path()),
                              log_.end());
        }
        keep_harmless();
    }

    // The target has done its work, and would be in the way of a later recovery.
    void keep_harmless() const {
        ::unlink(log_changes_path(settings_.data_directory).c_str());
        const std::string path = settings_.data_directory + "/postgresql.auto.conf";
        struct stat owner{};
        if (::stat(path.c_str(), &owner) != 0) return;
        const Bytes before = read_file(path, 16u << 20);
        write_file_durably(path, as_bytes(with_recovery_lines(as_text(before), lasting_lines())));
        if (::geteuid() == 0 && ::lchown(path.c_str(), owner.st_uid, owner.st_gid) != 0)
            throw system_error(errno, path);
    }

    [[noreturn]] void fail(int status) const {
        if (log_.has("recovery ended before configured recovery target was reached")) {
            throw StartFailed(
                ErrorCode::not_found,
                "the recovery came to the end of the log before it had reached its target",
                fmt::format("is the target in this timeline, and not before the snapshot? {} has what "
                            "the server said",
                            log_.path()),
                log_.end());
        }
        if (log_.has("requested recovery stop point is before consistent recovery point")) {
            throw StartFailed(ErrorCode::not_found,
                              "the target lies before the moment at which the snapshot is consistent",
                              "recover from an earlier snapshot, or to a later target", log_.end());
        }
        std::string why = log_.last_behind("FATAL:  ");
        if (const std::string panic = log_.last_behind("PANIC:  "); !panic.empty()) why = panic;
        if (why.empty()) {
            why = WIFSIGNALED(status) ? fmt::format("signal {}", WTERMSIG(status))
                                      : fmt::format("it ended with status {}", WEXITSTATUS(status));
        }
        std::string hint = fmt::format("{} has all that it said", log_.path());
        if (log_.has("was terminated by signal 9"))
            why = "a process of it was killed, as when memory runs out";
        if (log_.has("was terminated by signal 9") || log_.has("annot allocate memory") ||
            log_.has("could not map anonymous shared memory") || log_.has("out of memory")) {
            hint = "the restored settings are for another machine: --memory 1G makes them fit, or --setting "
                   "shared_buffers=128MB; " +
                   hint;
        }
        throw StartFailed(ErrorCode::unavailable, fmt::format("the server did not start: {}", why), hint,
                          log_.end());
    }

    void end_server() noexcept {
        if (ended_ || result_.process <= 0) return;
        ::kill(result_.process, SIGINT);
        const Duration begun = system_clock().steady();
        bool harder = false;
        while (!ended(result_.process)) {
            if (!harder && system_clock().steady() - begun > stop_patience) {
                harder = true;
                ::kill(result_.process, SIGQUIT);
            }
            system_clock().sleep_for(pause);
        }
    }

    const StartSettings& settings_;
    Progress& progress_;
    const std::stop_token stop_;
    ServerLog log_;
    StartedCluster result_;
    Duration started_{};
    std::uint64_t segment_bytes_ = 0;
    bool ended_ = false;
};

} // namespace

StartFailed::StartFailed(ErrorCode code, const std::string& message, const std::string& hint, std::string log)
    : Error(code, message, hint), log_(std::move(log)) {}

StartedCluster start_cluster(const StartSettings& settings, Progress& progress, std::stop_token stop) {
    return Start(settings, progress, std::move(stop)).start();
}

} // namespace holdfast::postgres
