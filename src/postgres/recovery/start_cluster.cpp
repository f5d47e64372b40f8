#include "postgres/recovery/start_cluster.h"

#include "base/clock.h"
#include "base/file_descriptor.h"
#include "base/owned_file.h"
#include "postgres/recovery/access_file.h"
#include "postgres/recovery/restore_cluster.h"
#include "postgres/recovery/server_log.h"
#include "postgres/recovery/server_program.h"
#include "postgres/recovery/server_settings.h"
#include "postgres/wal/timeline_history.h"

#include <algorithm>
#include <charconv>
#include <csignal>
#include <fstream>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace holdfast::postgres {

namespace {

using std::chrono::milliseconds;

constexpr std::size_t longest_socket_directory_bytes = 85; // of 107 with the name of the socket
constexpr std::size_t most_starts = 8; // as many as there are settings that may be too low, and more
constexpr Duration pause = milliseconds(20);
constexpr Duration stop_patience = std::chrono::seconds(20);

double seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

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

class Start {
  public:
    Start(const StartSettings& settings, Progress& progress, std::stop_token stop)
        : settings_(settings),
          progress_(progress),
          stop_(std::move(stop)),
          log_(settings.log_file.empty() ? settings.data_directory + "/holdfast-recovery.log"
                                         : settings.log_file) {}

    StartedCluster start() {
        check_limits(settings_);
        choose_place();
        make_configuration(settings_.data_directory);
        const std::string program = find_server_program(settings_.version, settings_.bin_directory);
        for (std::size_t i = 0; i < most_starts; ++i) {
            if (start_once(program)) return std::move(result_);
            log_.begin_again();
        }
        throw StartFailed(ErrorCode::unavailable, "the server finds its settings too low again and again",
                          fmt::format("{} has all that it said", log_.path()), log_.end());
    }

  private:
    // False when it must be started anew, with settings that were raised.
    bool start_once(const std::string& program) {
        const ServerLaunch launch{program,
                                  settings_.data_directory,
                                  server_settings(settings_, result_.socket_directory, result_.raised),
                                  log_.path(),
                                  settings_.processors,
                                  settings_.niceness};
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
        result_.writable = !queries_while_recovering(settings_) ||
                           log_.has("database system is ready to accept connections");
        return result_.writable || settings_.standby || log_.has("pausing at the end of recovery");
    }

    bool shut_down_at_target(int status) const {
        return settings_.action == TargetAction::shutdown && WIFEXITED(status) && WEXITSTATUS(status) == 0 &&
               log_.has("shutdown at recovery target");
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
        remove_access_file(settings_.data_directory);
        ::unlink(log_changes_path(settings_.data_directory).c_str());
        ::unlink(log_slices_path(settings_.data_directory).c_str());
        const std::string path = settings_.data_directory + "/postgresql.auto.conf";
        if (::access(path.c_str(), F_OK) != 0) return;
        const Bytes before = read_file(path, 16u << 20);
        write_file_durably_for(file_owner(path), path,
                               as_bytes(with_recovery_lines(as_text(before), lasting_lines())));
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
