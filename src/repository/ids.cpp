#include "repository/ids.h"

#include "base/error.h"
#include "crypto/hash.h"
#include "store/object_name.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace holdfast {

namespace {

// What stands behind the folder of a name.
enum class Form {
    id,            // <id16>
    id_number,     // <id16>-<number>
    domain_number, // <domain>/<id16>-<number>
    pack,          // <kind><class>/<id16>-<number>
    moved,         // <id16>-<number>-<kind><class>
    log_slice,     // <archive>/<branch>-<begin>-<end>-<id16>-<number>
};

struct Folder {
    NameKind kind;
    std::string_view prefix;
    Form form;
};

constexpr std::array folders{
    Folder{NameKind::slot, slots_prefix, Form::id},
    Folder{NameKind::grant, grants_prefix, Form::id_number},
    Folder{NameKind::revocation, revocations_prefix, Form::id},
    Folder{NameKind::pack, packs_prefix, Form::pack},
    Folder{NameKind::index_segment, index_prefix, Form::domain_number},
    Folder{NameKind::intent, intents_prefix, Form::id_number},
    Folder{NameKind::commit, commits_prefix, Form::id},
    Folder{NameKind::checkpoint, checkpoints_prefix, Form::id_number},
    Folder{NameKind::forget, forgets_prefix, Form::id},
    Folder{NameKind::statement, statements_prefix, Form::id_number},
    Folder{NameKind::condemned, condemned_prefix, Form::id},
    Folder{NameKind::verdict, verdicts_prefix, Form::id},
    Folder{NameKind::moved, moved_prefix, Form::moved},
    Folder{NameKind::log_slice, logs_prefix, Form::log_slice},
};

// Takes a name apart from the front. Once something does not fit, everything fails.
class Cursor {
  public:
    explicit Cursor(std::string_view text) : rest_(text) {}

    template <std::size_t N>
    FixedBytes<N> id() {
        const auto value = id_from_hex<N>(take(2 * N));
        if (!value) failed_ = true;
        return value.value_or(FixedBytes<N>{});
    }
    std::uint32_t number() { return integer<std::uint32_t>(); }
    void log_range(ObjectName& name) {
        name.archive = id<16>();
        expect('/');
        name.range.branch = number();
        expect('-');
        name.range.begin = integer<std::uint64_t>();
        expect('-');
        name.range.end = integer<std::uint64_t>();
        expect('-');
        if (name.range.end < name.range.begin || name.range.end - name.range.begin > largest_slice_bytes)
            failed_ = true;
    }
    void pack_class(ObjectName& name) {
        const std::string_view kind = take(1);
        name.pack_kind = kind.empty() ? 0 : static_cast<std::uint8_t>(kind.front());
        if (!is_pack_kind(name.pack_kind)) failed_ = true;
        name.pack_class = id<1>().bytes[0];
    }
    void expect(char character) {
        if (take(1) != std::string_view(&character, 1)) failed_ = true;
    }
    bool done() const { return !failed_ && rest_.empty(); }

  private:
    template <typename T>
    T integer() {
        T value = 0;
        for (const Byte byte : id<sizeof(T)>().bytes) value = value << 8 | byte;
        return value;
    }
    std::string_view take(std::size_t size) {
        if (rest_.size() < size) failed_ = true;
        const std::string_view taken = rest_.substr(0, size);
        rest_.remove_prefix(taken.size());
        return taken;
    }

    std::string_view rest_;
    bool failed_ = false;
};

void read_form(Cursor& cursor, Form form, ObjectName& name) {
    if (form == Form::domain_number) name.domain = cursor.id<8>();
    if (form == Form::pack) cursor.pack_class(name);
    if (form == Form::domain_number || form == Form::pack) cursor.expect('/');
    if (form == Form::log_slice) cursor.log_range(name);
    name.owner = cursor.id<16>();
    if (form == Form::id) return;
    cursor.expect('-');
    name.number = cursor.number();
    if (form != Form::moved) return;
    cursor.expect('-');
    cursor.pack_class(name);
}

std::string pack_class_text(const ObjectName& name) {
    return fmt::format("{}{:02x}", static_cast<char>(name.pack_kind), name.pack_class);
}

std::string write_form(Form form, const ObjectName& name) {
    const std::string owner = name.owner.hex();
    switch (form) {
    case Form::id:
        return owner;
    case Form::id_number:
        return fmt::format("{}-{:08x}", owner, name.number);
    case Form::domain_number:
        return fmt::format("{}/{}-{:08x}", name.domain.hex(), owner, name.number);
    case Form::pack:
        return fmt::format("{}/{}-{:08x}", pack_class_text(name), owner, name.number);
    case Form::log_slice:
        return fmt::format("{}/{:08x}-{:016x}-{:016x}-{}-{:08x}", name.archive.hex(), name.range.branch,
                           name.range.begin, name.range.end, owner, name.number);
    case Form::moved:
        return fmt::format("{}-{:08x}-{}", owner, name.number, pack_class_text(name));
    }
    return {};
}

std::string named(NameKind kind, const FixedBytes<16>& owner, std::uint32_t number = 0) {
    return object_name({.kind = kind, .owner = owner, .number = number, .domain = {}});
}

} // namespace

DomainId domain_id(std::string_view domain_name) {
    return derive_hash<8>("holdfast domain id 1", as_bytes(domain_name));
}

DomainId domain_of(const ArchiveId& archive) {
    DomainId domain;
    std::copy_n(archive.bytes.begin(), domain.size(), domain.bytes.begin());
    return domain;
}

PackBytes PackId::to_bytes() const {
    PackBytes out;
    std::memcpy(out.bytes.data(), run.bytes.data(), run.size());
    for (std::size_t i = 0; i < 4; ++i) out.bytes[16 + i] = static_cast<Byte>(seq >> (8 * i));
    out.bytes[20] = kind;
    out.bytes[21] = cls;
    return out;
}

std::optional<PackId> PackId::from_bytes(const PackBytes& bytes) {
    PackId id;
    std::memcpy(id.run.bytes.data(), bytes.bytes.data(), id.run.size());
    for (std::size_t i = 0; i < 4; ++i) id.seq |= std::uint32_t{bytes.bytes[16 + i]} << (8 * i);
    id.kind = bytes.bytes[20];
    id.cls = bytes.bytes[21];
    if (!is_pack_kind(id.kind) || bytes.bytes[22] != 0 || bytes.bytes[23] != 0) return std::nullopt;
    return id;
}

std::string PackId::name() const {
    return object_name({.kind = NameKind::pack,
                        .owner = run,
                        .number = seq,
                        .domain = {},
                        .pack_kind = kind,
                        .pack_class = cls});
}

std::optional<PackId> PackId::from_name(std::string_view name) {
    const auto parsed = parse_name(name);
    if (!parsed || parsed->kind != NameKind::pack) return std::nullopt;
    return parsed->pack();
}

std::string LogSliceId::name() const {
    ObjectName name;
    name.kind = NameKind::log_slice;
    name.owner = run;
    name.number = number;
    name.archive = archive;
    name.range = range;
    return object_name(name);
}

std::optional<LogSliceId> LogSliceId::from_name(std::string_view name) {
    const auto parsed = parse_name(name);
    if (!parsed || parsed->kind != NameKind::log_slice) return std::nullopt;
    return LogSliceId{parsed->archive, parsed->range, parsed->owner, parsed->number};
}

std::optional<ObjectName> parse_name(std::string_view name) {
    ObjectName parsed;
    if (name == config_name) return parsed;
    if (name.starts_with(probe_prefix)) {
        if (!is_object_name(name)) return std::nullopt;
        parsed.kind = NameKind::probe;
        return parsed;
    }
    for (const Folder& folder : folders) {
        if (!name.starts_with(folder.prefix)) continue;
        Cursor cursor(name.substr(folder.prefix.size()));
        parsed.kind = folder.kind;
        read_form(cursor, folder.form, parsed);
        if (!cursor.done()) return std::nullopt;
        return parsed;
    }
    return std::nullopt;
}

std::string object_name(const ObjectName& name) {
    if (name.kind == NameKind::config) return std::string(config_name);
    for (const Folder& folder : folders) {
        if (folder.kind == name.kind) return std::string(folder.prefix) + write_form(folder.form, name);
    }
    throw Error(ErrorCode::internal, "a probe has no name of the format");
}

std::string slot_name(const SlotId& slot) { return named(NameKind::slot, slot); }
std::string grant_name(const SlotId& slot, std::uint32_t number) {
    return named(NameKind::grant, slot, number);
}
std::string revocation_name(const SlotId& slot) { return named(NameKind::revocation, slot); }
std::string index_segment_name(const DomainId& domain, const RunId& run, std::uint32_t seq) {
    return object_name({.kind = NameKind::index_segment, .owner = run, .number = seq, .domain = domain});
}
std::string intent_name(const RunId& run, std::uint32_t beat) { return named(NameKind::intent, run, beat); }
std::string commit_name(const RunId& run) { return named(NameKind::commit, run); }
std::string checkpoint_name(const RunId& run, std::uint32_t number) {
    return named(NameKind::checkpoint, run, number);
}
std::string forget_name(const RunId& run) { return named(NameKind::forget, run); }
std::string statement_name(const SlotId& slot, std::uint32_t number) {
    return named(NameKind::statement, slot, number);
}
std::string condemned_name(const RunId& run) { return named(NameKind::condemned, run); }
std::string verdict_name(const RunId& run) { return named(NameKind::verdict, run); }
std::string moved_name(const PackId& pack) {
    return object_name({.kind = NameKind::moved,
                        .owner = pack.run,
                        .number = pack.seq,
                        .domain = {},
                        .pack_kind = pack.kind,
                        .pack_class = pack.cls});
}

} // namespace holdfast
