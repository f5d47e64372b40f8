#include "execution/operation_request.h"

#include "base/error.h"
#include "base/form.h"
#include "postgres/wal/lsn.h"

#include <algorithm>
#include <charconv>
#include <functional>

#include <fmt/format.h>

namespace holdfast {

namespace {

constexpr std::uint64_t longest_limit_seconds = 30ULL * 24 * 3600;
constexpr std::uint64_t highest_port = 65'535;
constexpr std::size_t most_name_bytes = 200;
constexpr std::size_t id_digits = 32;
constexpr std::size_t most_word_bytes = 64u << 10;

// The words of a command line. A value never stands alone where it could be taken for an option.
class Words {
  public:
    explicit Words(std::string command) : words_{std::move(command)} {}
    void flag(bool wanted, const char* option) {
        if (wanted) words_.emplace_back(option);
    }
    void value(const char* option, const std::optional<std::string>& text) {
        if (!text) return;
        // Words end at a zero byte, and the system refuses those that are too long (128 KiB).
        if (text->find('\0') != std::string::npos || text->size() > most_word_bytes)
            throw Error(ErrorCode::usage,
                        fmt::format("the text for '{}' is too long, or has a zero byte", option));
        words_.push_back(fmt::format("{}={}", option, *text));
    }
    void values(const char* option, const std::vector<std::string>& texts) {
        for (const std::string& text : texts) value(option, text);
    }
    // Of a name that was checked.
    void name(std::string text) { words_.push_back(std::move(text)); }
    std::vector<std::string> take() { return std::move(words_); }

  private:
    std::vector<std::string> words_;
};

// A percentage above 0 and up to 100, as `verify --sample` takes it.
bool is_part(const std::string& text) {
    if (!text.ends_with('%')) return false;
    double percent = 0;
    const char* const end = text.data() + text.size() - 1;
    const auto [at, problem] = std::from_chars(text.data(), end, percent);
    return problem == std::errc() && at == end && percent > 0 && percent <= 100;
}

class Request {
  public:
    Request(const std::optional<std::string>& source, std::string_view json, const OperationWorld& world)
        : source_(source), form_(Form::parse(json, "")), world_(world) {}

    OperationCommand command(std::string_view kind) {
        OperationCommand command;
        if (const auto limit = form_.number("time_limit_seconds", 1, longest_limit_seconds))
            command.time_limit = std::chrono::seconds(*limit);
        command.arguments = words_of(kind, command.time_limit);
        form_.expect_no_more();
        return command;
    }

  private:
    std::vector<std::string> words_of(std::string_view kind, Duration time_limit) {
        if (kind == "backup") return backup(time_limit);
        if (kind == "verify") return verify();
        if (kind == "restore") return restore();
        if (kind == "retention") return retention();
        if (kind == "forget") return forget();
        if (kind == "prune") return prune();
        if (kind == "alert-test") return alert_test();
        throw Error(ErrorCode::usage, fmt::format("there is no operation '{}'", kind),
                    fmt::format("there are {}", fmt::join(operation_kinds, ", ")))
            .with_field("kind");
    }

    // The kind of the source, which must be one that the configuration names.
    const std::string& source_kind() const {
        if (!source_)
            throw Error(ErrorCode::usage, "'source' is missing", "name what it is about")
                .with_field("source");
        const auto found = world_.sources.find(*source_);
        if (found == world_.sources.end()) {
            throw Error(ErrorCode::usage, fmt::format("there is no source '{}'", *source_),
                        "sources are named in holdfast.toml, [source.NAME]")
                .with_field("source");
        }
        return found->second;
    }
    bool of_postgres() const { return source_kind() == "postgresql"; }
    void refuse_source() const {
        if (source_)
            throw Error(ErrorCode::usage, "this is about the whole repository", "leave 'source' out")
                .with_field("source");
    }
    // For members that mean something for one kind of source alone.
    void only_for(const char* kind, std::initializer_list<const char*> members) const {
        if (source_kind() == kind) return;
        for (const char* member : members)
            if (form_.has(member))
                form_.fail(member, fmt::format("is for {} sources, and '{}' is one of {}", kind, *source_,
                                               source_kind()));
    }

    std::optional<std::string> choice(const char* member, std::initializer_list<std::string_view> known) {
        const std::optional<std::string> text = form_.text(member);
        if (text && std::ranges::find(known, *text) == known.end())
            form_.fail(member, fmt::format("must be one of {}", fmt::join(known, ", ")));
        return text;
    }
    // The text as it stands, which `read` takes: what makes no sense is refused now, not when its turn comes.
    template <typename Read>
    std::optional<std::string> checked(const char* member, Read&& read) {
        return form_.text_as(member, [&](const std::string& text) {
            read(text);
            return text;
        });
    }
    std::optional<std::string> number(const char* member, std::uint64_t least, std::uint64_t most) {
        const auto value = form_.number(member, least, most);
        return value ? std::optional(std::to_string(*value)) : std::nullopt;
    }

    std::vector<std::string> backup(Duration time_limit) {
        only_for("postgresql", {"type", "compare"});
        Words words("backup");
        words.name(source_name());
        words.value("--type", choice("type", {"auto", "full", "incremental"}));
        words.flag(form_.flag("compare").value_or(false), "--compare");
        words.value("--name", form_.text("name", most_name_bytes));
        for (const auto& [name, value] : form_.text_map("tags")) {
            if (name.empty() || name.find('=') != std::string::npos)
                form_.fail("tags", fmt::format("'{}' can be no name of a tag", name));
            form_.at("tags", [&] {
                if (name == "class") require_known_class(value, world_.classes);
                if (name == "expires") from_rfc3339(value);
            });
            words.value("--tag", name + "=" + value);
        }
        words.value("--class", checked("class", [this](const std::string& text) {
                        require_known_class(text, world_.classes);
                    }));
        words.value("--keep-for",
                    checked("keep_for", [](const std::string& text) { Period::parse(text, {}); }));
        if (of_postgres() && time_limit != Duration{})
            words.value("--wait-limit",
                        fmt::format("{}s", std::chrono::ceil<std::chrono::seconds>(time_limit).count()));
        return words.take();
    }

    // As a word of a command line by itself: the configuration may have names that look like options.
    std::string source_name() const {
        source_kind();
        if (source_->starts_with('-'))
            throw Error(ErrorCode::usage, fmt::format("source '{}' looks like an option", *source_),
                        "give it another name")
                .with_field("source");
        return *source_;
    }

    std::string snapshot_id(const char* member, const std::string& text) const {
        const bool fits = !text.empty() && text.find_first_not_of("0123456789abcdef") == std::string::npos;
        if (!fits) form_.fail(member, "must be the id of a snapshot, or its beginning");
        return text;
    }

    std::vector<std::string> verify() {
        Words words("verify");
        const std::vector<std::string> snapshots = form_.texts("snapshots");
        if (source_ && !snapshots.empty()) form_.fail("snapshots", "says which, and so does 'source'");
        if (source_) words.value("--source", source_name());
        for (const std::string& snapshot : snapshots) words.name(snapshot_id("snapshots", snapshot));
        const std::string depth = form_.text("depth").value_or("structure");
        if (depth == "all") {
            words.flag(true, "--read-data");
        } else if (depth == "files") {
            words.flag(true, "--files");
        } else if (is_part(depth)) {
            words.value("--sample", depth);
        } else if (depth != "structure") {
            form_.fail("depth", "must be structure, a part such as 5%, all or files");
        }
        words.flag(true, "--record");
        return words.take();
    }

    std::string target_directory() {
        if (world_.restore_directory.empty())
            throw Error(ErrorCode::incompatible, "this server restores nothing",
                        "set restore_directory below [server] in holdfast.toml, or restore with the command "
                        "line");
        const std::optional<std::string> name = form_.text("directory", most_name_bytes);
        if (!name) form_.fail("directory", "is missing", "name a new directory below the server's");
        const bool plain = !name->starts_with('.') && !name->starts_with('-') &&
                           name->find('/') == std::string::npos && name->find('\0') == std::string::npos;
        if (!plain)
            form_.fail("directory", "must be a name, without '/', that begins with neither '.' nor '-'");
        return fmt::format("{}/{}", world_.restore_directory, *name);
    }

    void add_recovery_target(Words& words) {
        words.value("--at", checked("at", [](const std::string& text) { from_rfc3339(text); }));
        words.value("--lsn", checked("lsn", [this](const std::string& text) {
                        if (!postgres::parse_lsn(text))
                            form_.fail("lsn", "is no position", "such as 16/B374D848");
                    }));
        words.value("--xid", checked("xid", [this](const std::string& text) {
                        std::uint64_t id = 0;
                        const char* const end = text.data() + text.size();
                        const auto [at, problem] = std::from_chars(text.data(), end, id);
                        if (problem != std::errc() || at != end || id == 0 || id > INT64_MAX)
                            form_.fail("xid", "is no number of a transaction");
                    }));
        words.value("--restore-point", form_.text("restore_point"));
        const char* target = nullptr;
        for (const char* member : {"at", "lsn", "xid", "restore_point"}) {
            if (!form_.has(member)) continue;
            if (target != nullptr) form_.fail(member, fmt::format("says how far, and so does '{}'", target));
            target = member;
        }
        const bool exclusive = form_.flag("exclusive").value_or(false);
        words.flag(exclusive, "--exclusive");
        // A restore point is a place between two records, and nothing happens at it.
        if (exclusive && (target == nullptr || form_.has("restore_point")))
            form_.fail("exclusive", "needs one of at, lsn, xid");
    }

    std::vector<std::string> restore() {
        only_for("postgresql", {"at", "lsn", "xid", "restore_point", "exclusive", "timeline", "databases",
                                "start", "port"});
        only_for("documents", {"paths"});
        Words words("restore");
        const std::string target = target_directory();
        const std::optional<std::string> snapshot = form_.text("snapshot");
        if (of_postgres()) {
            words.name(source_name());
            words.value("--snapshot",
                        snapshot ? std::optional(snapshot_id("snapshot", *snapshot)) : std::nullopt);
            add_recovery_target(words);
            words.value("--timeline", number("timeline", 1, UINT32_MAX));
            words.values("--database", form_.texts("databases"));
            const bool start = form_.flag("start").value_or(false);
            words.flag(start, "--start");
            words.value("--port", number("port", 1, highest_port));
            if (!start && form_.has("port")) form_.fail("port", "is of a server, and 'start' starts none");
        } else {
            words.name(snapshot ? snapshot_id("snapshot", *snapshot) : source_name());
            words.values("--path", form_.texts("paths"));
        }
        words.value("--to", target);
        return words.take();
    }

    std::vector<std::string> retention() {
        Words words("retention");
        words.name("enforce");
        if (source_) words.name(source_name());
        const bool dry_run = form_.flag("dry_run").value_or(false);
        if (!dry_run && !world_.retention_waits.empty())
            throw Error(ErrorCode::fenced, "nothing is forgotten now: " + world_.retention_waits,
                        "see what holdfast.toml would do with 'holdfast plan', then 'holdfast apply' it");
        words.flag(dry_run, "--dry-run");
        words.flag(form_.flag("trust_clock").value_or(false), "--trust-clock");
        return words.take();
    }

    // The whole id alone: what is deleted is what was meant when it was asked for.
    std::vector<std::string> forget() {
        refuse_source();
        const auto snapshot = form_.text("snapshot", most_name_bytes);
        if (!snapshot) form_.fail("snapshot", "is missing");
        Words words("forget");
        words.name(snapshot_id("snapshot", *snapshot));
        if (snapshot->size() != id_digits) form_.fail("snapshot", "must be the whole id of a snapshot");
        words.flag(form_.flag("even_the_last").value_or(false), "--even-the-last");
        return words.take();
    }

    std::vector<std::string> prune() {
        refuse_source();
        Words words("prune");
        // What a window lets go is deleted for good, as what is forgotten is.
        words.flag(!world_.retention_waits.empty(), "--keep-log");
        return words.take();
    }

    std::vector<std::string> alert_test() {
        refuse_source();
        const std::vector<std::string> rules = form_.texts("rules");
        const bool all = form_.flag("all").value_or(false);
        if (all && !rules.empty()) form_.fail("rules", "says which, and so does 'all'");
        if (!all && rules.empty()) form_.fail("rules", "is missing", "name rules, or say all: true");
        Words words("alerts");
        words.name("test");
        for (const std::string& rule : rules) {
            if (!world_.rules.contains(rule)) form_.fail("rules", fmt::format("there is no rule '{}'", rule));
            if (std::ranges::count(rules, rule) > 1)
                form_.fail("rules", fmt::format("'{}' is there twice", rule));
            words.name(rule);
        }
        words.flag(all, "--all");
        words.flag(!form_.flag("channels").value_or(true), "--no-channels");
        return words.take();
    }

    const std::optional<std::string>& source_;
    Form form_;
    const OperationWorld& world_;
};

} // namespace

OperationCommand operation_command(std::string_view kind, const std::optional<std::string>& source,
                                   std::string_view request, const OperationWorld& world) {
    return Request(source, request, world).command(kind);
}

} // namespace holdfast
