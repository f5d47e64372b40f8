#include "documents/path_filter.h"

#include "base/error.h"
#include "documents/entry_name.h"
#include "documents/glob.h"

#include <algorithm>

#include <fmt/format.h>

namespace holdfast {

namespace {

// Positions are bits of one word: the accepting position is the highest.
constexpr std::size_t most_components = 60;

[[noreturn]] void refuse(std::string_view pattern, std::string_view why) {
    throw Error(ErrorCode::usage,
                fmt::format("the pattern \"{}\" can't be used: {}", printable(pattern), why),
                "correct it, or leave it out");
}

// Calls `visit` with each component of `path`, empty ones left out.
template <typename Visit>
void for_each_component(std::string_view path, const Visit& visit) {
    while (!path.empty()) {
        const std::size_t length = std::min(path.find('/'), path.size());
        if (length > 0) visit(path.substr(0, length));
        path.remove_prefix(std::min(length + 1, path.size()));
    }
}

} // namespace

void PathFilter::exclude(std::string_view pattern) {
    if (pattern.starts_with('!')) {
        add(pattern.substr(1), false);
    } else {
        add(pattern, true);
    }
}

void PathFilter::include(std::string_view pattern) {
    if (pattern.starts_with('!')) refuse(pattern, "an including pattern must not begin with !");
    add(pattern, false);
}

void PathFilter::exclude_lines(std::string_view text, std::string_view file_name) {
    for (std::size_t line_number = 1; !text.empty(); ++line_number) {
        const std::size_t length = std::min(text.find('\n'), text.size());
        std::string_view line = text.substr(0, length);
        text.remove_prefix(std::min(length + 1, text.size()));
        if (line.ends_with('\r')) line.remove_suffix(1);
        if (line.empty() || line.starts_with('#')) continue;
        in_context(fmt::format("{} line {}", printable(file_name), line_number), [&] { exclude(line); });
    }
}

void PathFilter::add(std::string_view pattern, bool excludes) {
    Rule rule;
    rule.excludes = excludes;
    rule.anchored = pattern.starts_with('/');
    rule.directories_only = pattern.ends_with('/');
    const auto append = [&](std::string_view text, bool any_depth) {
        if (any_depth && !rule.components.empty() && rule.components.back().any_depth) return;
        rule.components.push_back(
            {.text = std::string(text), .any_depth = any_depth, .literal = glob_is_literal(text)});
    };
    if (!rule.anchored) append("**", true);
    bool any = false;
    for_each_component(pattern, [&](std::string_view component) {
        if (component.find('\0') != std::string_view::npos) refuse(pattern, "no name has a zero byte in it");
        if (component == "." || component == "..") refuse(pattern, "no entry has the name . or ..");
        if (const std::string_view problem = glob_problem(component); !problem.empty())
            refuse(pattern, problem);
        append(component, component == "**");
        any = true;
    });
    if (!any) refuse(pattern, "it names nothing");
    if (rule.components.back().any_depth) append("*", false); // everything inside, not the directory itself
    if (rule.components.size() > most_components) {
        refuse(pattern, fmt::format("it has more than {} components", most_components));
    }
    rules_.push_back(std::move(rule));
}

std::uint64_t PathFilter::closure(const Rule& rule, std::uint64_t positions) {
    for (std::size_t i = 0; i < rule.components.size(); ++i) {
        if (rule.components[i].any_depth && (positions >> i & 1U) != 0)
            positions |= std::uint64_t{1} << (i + 1);
    }
    return positions;
}

std::uint64_t PathFilter::step(const Rule& rule, std::uint64_t positions, std::string_view name) {
    std::uint64_t next = 0;
    for (std::size_t i = 0; i < rule.components.size() && positions >> i != 0; ++i) {
        if ((positions >> i & 1U) == 0) continue;
        const Component& component = rule.components[i];
        if (component.any_depth) {
            next |= std::uint64_t{1} << i;
        } else if (component.literal ? component.text == name : glob_matches(component.text, name)) {
            next |= std::uint64_t{1} << (i + 1);
        }
    }
    return closure(rule, next);
}

PathFilter::Cursor PathFilter::start(std::string_view source_root) const {
    Cursor cursor;
    for (const Rule& rule : rules_) {
        const std::uint64_t top = closure(rule, 1);
        std::uint64_t positions = 0;
        const Component& first = rule.components.front();
        const std::size_t begin = std::min(source_root.find_first_not_of('/'), source_root.size());
        const std::string_view root_first = source_root.substr(begin, source_root.find('/', begin) - begin);
        // Was the pattern written with the source's path in front? Then that meaning is the only one: two at
        // once could exclude what nobody meant.
        if (rule.anchored && first.literal && first.text == root_first) {
            positions = top;
            for_each_component(source_root,
                               [&](std::string_view name) { positions = step(rule, positions, name); });
            positions &= ~accepting(rule);
        }
        cursor.positions.push_back(positions != 0 ? positions : top);
    }
    return cursor;
}

PathFilter::Verdict PathFilter::judge(const Cursor& directory, std::string_view name,
                                      bool is_directory) const {
    std::ptrdiff_t decided_by = directory.decided_by;
    for (std::ptrdiff_t r = std::ssize(rules_) - 1; r > directory.decided_by; --r) {
        const auto i = static_cast<std::size_t>(r);
        if (rules_[i].directories_only && !is_directory) continue;
        if ((step(rules_[i], directory.positions[i], name) & accepting(rules_[i])) == 0) continue;
        decided_by = r;
        break;
    }
    Verdict verdict;
    verdict.excluded = decided_by >= 0 && rules_[static_cast<std::size_t>(decided_by)].excludes;
    if (!verdict.excluded || !is_directory) return verdict;
    verdict.descend = false;
    for (std::size_t i = static_cast<std::size_t>(decided_by) + 1; i < rules_.size() && !verdict.descend;
         ++i) {
        if (rules_[i].excludes) continue;
        verdict.descend = (step(rules_[i], directory.positions[i], name) & ~accepting(rules_[i])) != 0;
    }
    return verdict;
}

PathFilter::Cursor PathFilter::enter(const Cursor& directory, std::string_view name) const {
    Cursor cursor;
    cursor.decided_by = directory.decided_by;
    cursor.positions.reserve(rules_.size());
    for (std::size_t i = 0; i < rules_.size(); ++i) {
        const std::uint64_t positions = step(rules_[i], directory.positions[i], name);
        if ((positions & accepting(rules_[i])) != 0) {
            cursor.decided_by = std::max(cursor.decided_by, static_cast<std::ptrdiff_t>(i));
        }
        cursor.positions.push_back(positions & ~accepting(rules_[i]));
    }
    return cursor;
}

bool PathFilter::excludes(std::string_view source_root, std::string_view path, bool is_directory) const {
    Cursor cursor = start(source_root);
    std::string_view last;
    for_each_component(path, [&](std::string_view name) {
        if (!last.empty()) cursor = enter(cursor, last);
        last = name;
    });
    return !last.empty() && judge(cursor, last, is_directory).excluded;
}

} // namespace holdfast
