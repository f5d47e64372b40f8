#include "repository/protocol/statement.h"

#include "base/error.h"
#include "repository/json_form.h"
#include "repository/protocol/object_cache.h"
#include "repository/protocol/protocol_object.h"
#include "repository/protocol/text_form.h"

#include <algorithm>
#include <set>
#include <tuple>

#include <fmt/format.h>

namespace holdfast {

namespace {

constexpr std::size_t largest_statement_bytes = 1u << 20;
constexpr std::size_t longest_text_bytes = 256u << 10;
constexpr StatementType types[] = {StatementType::hold, StatementType::release,      StatementType::tag,
                                   StatementType::mark, StatementType::verification, StatementType::policy};

std::string id_text(const StatementId& id) { return statement_name(id.slot, id.number); }

std::optional<StatementId> id_from_text(std::string_view text) {
    const auto name = parse_name(text);
    if (!name || name->kind != NameKind::statement) return std::nullopt;
    return StatementId{name->owner, name->number};
}

// What is wrong with it, or nothing.
std::optional<std::string> contradiction(const Statement& statement) {
    if (statement.type == StatementType::policy) {
        if (statement.snapshot || statement.source) return "a policy says itself what it is about";
    } else if (statement.snapshot.has_value() == statement.source.has_value()) {
        return "it must be about a snapshot or about a source";
    }
    if ((statement.type == StatementType::release) != statement.releases.has_value()) {
        return "a release, and nothing else, names a hold";
    }
    if (statement.type == StatementType::verification && !statement.value)
        return "it does not say how it came out";
    if (statement.type != StatementType::release && statement.name.empty()) return "its name is empty";
    return std::nullopt;
}

bool is_about(const Statement& statement, const Snapshot& snapshot) {
    return statement.snapshot ? *statement.snapshot == snapshot.id : statement.source == snapshot.source;
}

// What counts only from who may forget snapshots.
bool lets_go(const Statement& statement) {
    return statement.type == StatementType::release || statement.type == StatementType::policy;
}

} // namespace

std::string_view to_string(StatementType type) {
    switch (type) {
    case StatementType::hold:
        return "hold";
    case StatementType::release:
        return "release";
    case StatementType::tag:
        return "tag";
    case StatementType::mark:
        return "mark";
    case StatementType::verification:
        return "verification";
    case StatementType::policy:
        return "policy";
    }
    return "";
}

Bytes encode_statement(const Statement& statement) {
    JsonWriter about;
    if (statement.snapshot) about.text("snapshot", statement.snapshot->hex());
    if (statement.source) about.text("source", to_text_form(*statement.source));
    JsonWriter out;
    out.object("about", about);
    out.text("type", to_string(statement.type));
    out.time("time", statement.time);
    if (statement.previous) out.text("previous", statement.previous->hex());
    out.text("name", to_text_form(statement.name));
    if (statement.value) out.text("value", to_text_form(*statement.value));
    if (statement.releases) out.text("releases", id_text(*statement.releases));
    return out.finish();
}

Statement decode_statement(ByteView json, const StatementId& id) {
    const JsonReader in = JsonReader::parse(json, "a statement", largest_statement_bytes);
    Statement statement;
    statement.id = id;
    const JsonReader about = in.object("about");
    if (about.has("snapshot")) statement.snapshot = about.id<16>("snapshot");
    if (about.has("source")) statement.source = from_text_form(about.text("source", longest_text_bytes));
    const std::string type_name = in.text("type", 64);
    const auto* type =
        std::ranges::find_if(types, [&](StatementType known) { return to_string(known) == type_name; });
    if (type == std::end(types)) {
        throw Error(ErrorCode::incompatible,
                    fmt::format("a statement of the unknown type '{}'", to_text_form(type_name)),
                    "use a newer holdfast");
    }
    statement.type = *type;
    statement.time = in.time("time");
    if (in.has("previous")) statement.previous = in.id<32>("previous");
    if (statement.previous.has_value() != (id.number > 0)) in.fail("previous", "does not fit its number");
    statement.name = from_text_form(in.text("name", longest_text_bytes));
    if (in.has("value")) statement.value = from_text_form(in.text("value", longest_text_bytes));
    if (in.has("releases")) {
        statement.releases = id_from_text(in.text("releases", 128));
        if (!statement.releases) in.fail("releases", "is no statement");
    }
    if (const auto why = contradiction(statement)) in.fail("about", *why);
    return statement;
}

StatementList list_statements(const RepositoryContext& context) {
    StatementList list;
    std::optional<std::pair<StatementId, ObjectDigest>> last;
    std::optional<StatementId> sealed; // the one before, if it cannot be read
    std::vector<ObjectInfo> listed;
    for (ObjectInfo& info : context.store.list_all(std::string(statements_prefix))) {
        if (id_from_text(info.name)) {
            listed.push_back(std::move(info));
        } else {
            list.problems.push_back(fmt::format("{}: no statement has such a name", info.name));
        }
    }
    read_each(context, listed, {ObjectKind::statement}, [&](const std::string& name, ReadObject read) {
        const auto id = id_from_text(name);
        try {
            if (read.error) throw *read.error;
            // Nobody removes statements.
            if (!read.object) throw Error(ErrorCode::corrupt, "it is listed, and not there");
            Statement statement = decode_statement(read.object->body, *id);
            const bool follows = last && last->first.slot == id->slot && last->first.number + 1 == id->number;
            const bool behind_sealed = sealed && sealed->slot == id->slot && sealed->number + 1 == id->number;
            if (id->number > 0 && !behind_sealed && (!follows || last->second != *statement.previous)) {
                list.damaged.push_back(
                    fmt::format("{}: a statement before it is missing or was replaced", name));
                list.problems.push_back(list.damaged.back());
            }
            last = {*id, read.object->digest};
            if (lets_go(statement) && !context.trust.may_write(id->slot, ObjectKind::forget, RunId{})) {
                list.problems.push_back(fmt::format(
                    "{}: {}, and its writer may not forget snapshots", name,
                    statement.type == StatementType::policy ? "sets a policy" : "releases a hold"));
                return;
            }
            list.statements.push_back(std::move(statement));
        } catch (const Error& error) {
            if (error.code() == ErrorCode::wrong_key) {
                ++list.unreadable;
                sealed = id;
            } else {
                list.problems.push_back(fmt::format("{}: {}", name, error.message()));
                if (error.code() != ErrorCode::access_denied) list.damaged.push_back(list.problems.back());
            }
        }
    });
    if (context.cache != nullptr) context.cache->keep_only(std::string(statements_prefix), listed);
    return list;
}

void require_all_statements(const StatementList& list) {
    if (list.unreadable > 0) {
        throw Error(ErrorCode::wrong_key,
                    fmt::format("{} statements are not for this key, and each may be a hold or a policy",
                                list.unreadable),
                    "forget with a key slot of role full or prune");
    }
    if (!list.damaged.empty()) {
        throw Error(
            ErrorCode::corrupt,
            fmt::format("a statement cannot be read, and may have been a hold or a policy: {}",
                        list.damaged.front()),
            "nothing was forgotten; restore it from a copy, or take it and those behind it of the same slot "
            "away when you know that nothing of it is held");
    }
}

StatementId put_statement(const RepositoryContext& context, Statement statement) {
    if (statement.time == Timestamp{}) statement.time = context.clock.now();
    statement.id.slot = context.keys.slot();
    const std::string prefix = fmt::format("{}{}-", statements_prefix, statement.id.slot.hex());
    for (;;) {
        const std::vector<std::string> names = list_names(context.store, prefix);
        statement.id.number = 0;
        statement.previous.reset();
        if (!names.empty()) {
            const auto last = id_from_text(names.back());
            const auto object = read_protocol_object(context, names.back(), {ObjectKind::statement});
            if (!last || !object) throw Error(ErrorCode::corrupt, names.back() + ": it cannot be read");
            statement.id.number = last->number + 1;
            statement.previous = object->digest;
        }
        if (const auto why = contradiction(statement)) throw Error(ErrorCode::usage, "a statement: " + *why);
        RunContext run = context.keys.begin_run(context.random);
        // Another program of the same slot may take the number first; then the next one is ours.
        const Bytes object =
            seal_object(ObjectKind::statement, id_text(statement.id), encode_statement(statement), run);
        if (put_deciding(context, id_text(statement.id), object)) return statement.id;
    }
}

Standing standing_of(const Snapshot& snapshot, const std::vector<Statement>& statements) {
    std::vector<const Statement*> about;
    std::set<StatementId> released;
    for (const Statement& statement : statements) {
        if (statement.releases) released.insert(*statement.releases);
        if (is_about(statement, snapshot)) about.push_back(&statement);
    }
    std::ranges::sort(about, {},
                      [](const Statement* statement) { return std::tie(statement->time, statement->id); });

    Standing standing;
    standing.tags = snapshot.tags;
    for (const Statement* statement : about) {
        switch (statement->type) {
        case StatementType::tag:
        case StatementType::mark: {
            auto& values = statement->type == StatementType::tag ? standing.tags : standing.marks;
            if (statement->value) {
                values[statement->name] = *statement->value;
            } else {
                values.erase(statement->name);
            }
            break;
        }
        case StatementType::hold:
            if (!released.contains(statement->id)) standing.holds.push_back(*statement);
            break;
        case StatementType::verification:
            standing.verifications.push_back(*statement);
            break;
        case StatementType::release:
        case StatementType::policy:
            break;
        }
    }
    return standing;
}

std::vector<Statement> standing_policies(const std::vector<Statement>& statements) {
    std::map<std::string, const Statement*> last;
    for (const Statement& statement : statements) {
        if (statement.type != StatementType::policy) continue;
        const Statement*& known = last[statement.name];
        if (known == nullptr || std::tie(known->time, known->id) < std::tie(statement.time, statement.id))
            known = &statement;
    }
    std::vector<Statement> standing;
    for (const auto& [name, statement] : last)
        if (statement->value) standing.push_back(*statement);
    return standing;
}

} // namespace holdfast
