#include "postgres/files/backup_label.h"

#include "base/error.h"
#include "documents/entry_name.h"

#include <charconv>

#include <fmt/format.h>

namespace holdfast::postgres {

namespace {

class LabelReader {
  public:
    explicit LabelReader(std::string_view text) : rest_(text) {}

    // The text behind "NAME: " on the next line.
    std::string_view field(std::string_view name) {
        const std::size_t end = rest_.find('\n');
        const std::string_view line = rest_.substr(0, end);
        if (end == std::string_view::npos || !line.starts_with(name) ||
            !line.substr(name.size()).starts_with(": ")) {
            fail(name, line);
        }
        rest_.remove_prefix(end + 1);
        return line.substr(name.size() + 2);
    }
    Lsn lsn(std::string_view name) {
        const std::string_view value = field(name);
        const auto position = parse_lsn(value);
        if (!position) fail(name, value);
        return *position;
    }
    TimelineId timeline(std::string_view name) {
        const std::string_view value = field(name);
        TimelineId number = 0;
        const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
        if (error != std::errc() || end != value.data() + value.size() || number == 0) fail(name, value);
        return number;
    }
    std::string one_of(std::string_view name, std::initializer_list<std::string_view> values) {
        const std::string_view value = field(name);
        for (const std::string_view known : values) {
            if (value == known) return std::string(value);
        }
        fail(name, value);
    }
    bool at_end() const { return rest_.empty(); }
    void expect_end() const {
        if (!at_end()) fail("the end", rest_.substr(0, rest_.find('\n')));
    }
    [[noreturn]] static void fail(std::string_view wanted, std::string_view found) {
        throw Error(
            ErrorCode::corrupt,
            fmt::format("backup_label: expected {}, found '{}'", wanted, printable(found.substr(0, 200))),
            "use the text that pg_backup_stop() gave, unchanged");
    }

  private:
    std::string_view rest_;
};

void check_line(std::string_view name, std::string_view text) {
    if (text.find_first_of(std::string_view("\n\r\0", 3)) != std::string_view::npos) {
        throw Error(ErrorCode::usage, fmt::format("{} '{}' has more than one line", name, printable(text)),
                    "choose a name without line breaks");
    }
}

} // namespace

BackupLabel parse_backup_label(std::string_view text) {
    constexpr std::string_view start_name = "START WAL LOCATION";
    LabelReader reader(text);
    BackupLabel label;
    const std::string_view start = reader.field(start_name);
    const std::size_t bracket = start.find(" (file ");
    const auto position = parse_lsn(start.substr(0, bracket));
    if (!position || bracket == std::string_view::npos || !start.ends_with(')')) {
        LabelReader::fail(start_name, start);
    }
    label.start = *position;
    label.start_file = start.substr(bracket + 7, start.size() - bracket - 8);
    // Which segment size it is of is not known here; the smallest accepts the names of all.
    if (!parse_segment_name(label.start_file, std::uint64_t{1} << 20)) LabelReader::fail(start_name, start);
    label.checkpoint = reader.lsn("CHECKPOINT LOCATION");
    label.method = reader.one_of("BACKUP METHOD", {"streamed", "pg_start_backup"});
    label.from = reader.one_of("BACKUP FROM", {"primary", "master", "standby"});
    label.start_time = reader.field("START TIME");
    label.label = reader.field("LABEL");
    label.timeline = reader.timeline("START TIMELINE");
    if (!reader.at_end()) {
        BackupLabel::Incremental incremental;
        incremental.from = reader.lsn("INCREMENTAL FROM LSN");
        incremental.timeline = reader.timeline("INCREMENTAL FROM TLI");
        label.incremental = incremental;
    }
    reader.expect_end();
    return label;
}

std::string write_backup_label(const BackupLabel& label) {
    check_line("the label", label.label);
    check_line("the start time", label.start_time);
    std::string text =
        fmt::format("START WAL LOCATION: {} (file {})\nCHECKPOINT LOCATION: {}\nBACKUP METHOD: {}\n"
                    "BACKUP FROM: {}\nSTART TIME: {}\nLABEL: {}\nSTART TIMELINE: {}\n",
                    label.start.str(), label.start_file, label.checkpoint.str(), label.method, label.from,
                    label.start_time, label.label, label.timeline);
    if (label.incremental) {
        text += fmt::format("INCREMENTAL FROM LSN: {}\nINCREMENTAL FROM TLI: {}\n",
                            label.incremental->from.str(), label.incremental->timeline);
    }
    return text;
}

} // namespace holdfast::postgres
