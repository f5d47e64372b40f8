#include "store/fault_store.h"

#include <algorithm>

#include <fmt/format.h>

namespace holdfast {

namespace {

bool is_read(StoreVerb verb) { return verb == StoreVerb::get || verb == StoreVerb::get_version; }

bool changes_something(StoreVerb verb) {
    switch (verb) {
    case StoreVerb::get:
    case StoreVerb::head:
    case StoreVerb::list:
    case StoreVerb::retention:
    case StoreVerb::list_versions:
    case StoreVerb::get_version:
        return false;
    default:
        return true;
    }
}

// Whether the kind of fault means anything for the verb.
bool can_strike(FaultKind kind, StoreVerb verb) {
    switch (kind) {
    case FaultKind::torn_put:
    case FaultKind::disk_full:
        return verb == StoreVerb::put;
    case FaultKind::flip_bit:
    case FaultKind::short_read:
        return is_read(verb);
    case FaultKind::read_only:
        return changes_something(verb);
    default:
        return true;
    }
}

std::string describe(const Fault& fault, std::optional<std::uint64_t> operation) {
    if (operation) return fmt::format("{} at operation {}", to_string(fault.kind), *operation);
    return fmt::format("{} on {} {} (skip {})", to_string(fault.kind),
                       fault.verb ? to_string(*fault.verb) : std::string_view("any"), fault.name_prefix,
                       fault.skip);
}

} // namespace

std::string_view to_string(FaultKind kind) {
    switch (kind) {
    case FaultKind::fail_before:
        return "fail_before";
    case FaultKind::fail_after:
        return "fail_after";
    case FaultKind::delay:
        return "delay";
    case FaultKind::torn_put:
        return "torn_put";
    case FaultKind::flip_bit:
        return "flip_bit";
    case FaultKind::short_read:
        return "short_read";
    case FaultKind::disk_full:
        return "disk_full";
    case FaultKind::read_only:
        return "read_only";
    case FaultKind::die_before:
        return "die_before";
    case FaultKind::die_after:
        return "die_after";
    case FaultKind::die_torn:
        return "die_torn";
    }
    return "unknown";
}

FaultStore::FaultStore(std::shared_ptr<Store> inner, Clock& clock)
    : StoreDecorator(std::move(inner)), clock_(clock) {}

void FaultStore::plan(Fault fault) {
    const std::scoped_lock lock(mutex_);
    planned_.push_back({.fault = std::move(fault), .operation = {}});
}

void FaultStore::die_at(std::uint64_t operation, FaultKind kind, std::uint64_t torn_bytes) {
    const std::scoped_lock lock(mutex_);
    planned_.push_back({.fault = {.kind = kind, .position = torn_bytes}, .operation = operation});
}

void FaultStore::set_chances(FaultChances chances, std::uint64_t seed) {
    const std::scoped_lock lock(mutex_);
    chances_ = chances;
    random_ = std::make_unique<SeededRandom>(seed);
}

void FaultStore::heal() {
    const std::scoped_lock lock(mutex_);
    planned_.clear();
    random_.reset();
    death_.reset();
}

std::vector<FaultReport> FaultStore::reports() const {
    const std::scoped_lock lock(mutex_);
    std::vector<FaultReport> reports;
    for (const Planned& planned : planned_) {
        reports.push_back({describe(planned.fault, planned.operation), planned.fired,
                           planned.operation ? 1 : planned.fault.times});
    }
    return reports;
}

std::vector<std::string> FaultStore::unfired() const {
    std::vector<std::string> descriptions;
    for (const FaultReport& report : reports()) {
        if (report.fired == 0) descriptions.push_back(report.description);
    }
    return descriptions;
}

std::uint64_t FaultStore::chance_faults() const {
    const std::scoped_lock lock(mutex_);
    return chance_faults_;
}

std::uint64_t FaultStore::operation_count() const {
    const std::scoped_lock lock(mutex_);
    return operations_.size();
}

std::vector<StoreOperation> FaultStore::operations() const {
    const std::scoped_lock lock(mutex_);
    return operations_;
}

bool FaultStore::dead() const {
    const std::scoped_lock lock(mutex_);
    return death_.has_value();
}

std::optional<Fault> FaultStore::by_chance(StoreVerb verb) {
    if (!random_) return std::nullopt;
    std::uint64_t drawn = random_->below(1000);
    const std::uint64_t position = random_->u64();
    const auto hit = [&](unsigned chance) {
        if (drawn < chance) return true;
        drawn -= chance;
        return false;
    };
    Fault fault{.position = position, .delay = std::chrono::milliseconds(position % 5000)};
    if (hit(chances_.fail_before)) {
        fault.kind = FaultKind::fail_before;
    } else if (hit(chances_.fail_after)) {
        fault.kind = FaultKind::fail_after;
        fault.position = position % 16;
    } else if (hit(chances_.delay)) {
        fault.kind = FaultKind::delay;
    } else if (hit(chances_.flip_bit)) {
        fault.kind = FaultKind::flip_bit;
    } else if (hit(chances_.short_read)) {
        fault.kind = FaultKind::short_read;
        fault.position = position % 64;
    } else {
        return std::nullopt;
    }
    if (!can_strike(fault.kind, verb)) return std::nullopt;
    ++chance_faults_;
    return fault;
}

FaultStore::Strike FaultStore::begin(StoreVerb verb, const std::string& name) {
    const std::scoped_lock lock(mutex_);
    if (death_) throw *death_;
    const std::uint64_t number = operations_.size();
    operations_.push_back({verb, name});
    Strike strike{.fault = {}, .death = {number, verb, name}};
    for (Planned& planned : planned_) {
        const Fault& fault = planned.fault;
        if (planned.operation ? *planned.operation != number
                              : (fault.verb && *fault.verb != verb) || !name.starts_with(fault.name_prefix) ||
                                    !can_strike(fault.kind, verb)) {
            continue;
        }
        if (!planned.operation && planned.passed < fault.skip) {
            ++planned.passed;
        } else if (!strike.fault && (planned.operation || planned.fired < fault.times)) {
            ++planned.fired;
            strike.fault = fault;
        }
    }
    if (!strike.fault) strike.fault = by_chance(verb);
    return strike;
}

void FaultStore::die(const Strike& strike) {
    {
        const std::scoped_lock lock(mutex_);
        if (!death_) death_ = strike.death;
    }
    throw strike.death;
}

void FaultStore::before(const Strike& strike, const CallOptions& options) {
    if (!strike.fault) return;
    const Fault& fault = *strike.fault;
    switch (fault.kind) {
    case FaultKind::fail_before:
        throw fault.error;
    case FaultKind::delay:
        if (!clock_.sleep_for(fault.delay, options.stop)) {
            throw Error(ErrorCode::cancelled, "a call to the store was stopped");
        }
        return;
    case FaultKind::disk_full:
        throw Error(ErrorCode::no_space, fmt::format("storing {}: no space left", strike.death.name),
                    "free some space, or choose another place");
    case FaultKind::read_only:
        throw Error(ErrorCode::read_only,
                    fmt::format("changing {}: the store is read-only", strike.death.name),
                    "mount it for writing, or choose another place");
    case FaultKind::die_before:
        die(strike);
    default:
        return;
    }
}

void FaultStore::after(const Strike& strike) {
    {
        // Others may have died of another strike meanwhile; their answers never arrive either.
        const std::scoped_lock lock(mutex_);
        if (death_) throw *death_;
    }
    if (!strike.fault) return;
    const FaultKind kind = strike.fault->kind;
    if (kind == FaultKind::fail_after || kind == FaultKind::torn_put) throw strike.fault->error;
    // A torn death on an operation that cannot be torn is an ordinary one.
    if (kind == FaultKind::die_after || kind == FaultKind::die_torn) die(strike);
}

void FaultStore::around(StoreCall& call, const std::function<void()>& body) {
    const Strike strike = begin(call.verb, call.name);
    before(strike, call.options);
    body();
    after(strike);
}

PutResult FaultStore::put(const std::string& name, std::span<const ByteView> parts,
                          const PutOptions& put_options, const CallOptions& options) {
    const Strike strike = begin(StoreVerb::put, name);
    before(strike, options);
    const bool torn = strike.fault && (strike.fault->kind == FaultKind::torn_put ||
                                       strike.fault->kind == FaultKind::die_torn);
    PutResult result{};
    if (torn) {
        std::uint64_t left = strike.fault->position;
        std::vector<ByteView> kept;
        for (const ByteView part : parts) {
            kept.push_back(part.first(static_cast<std::size_t>(std::min<std::uint64_t>(left, part.size()))));
            left -= kept.back().size();
        }
        result = inner().put(name, kept, put_options, options);
    } else {
        result = inner().put(name, parts, put_options, options);
    }
    after(strike);
    return result;
}

std::optional<Bytes> FaultStore::read(StoreVerb verb, const std::string& name, const CallOptions& options,
                                      const std::function<std::optional<Bytes>()>& body) {
    const Strike strike = begin(verb, name);
    before(strike, options);
    std::optional<Bytes> bytes = body();
    after(strike);
    if (!strike.fault || !bytes || bytes->empty()) return bytes;
    const std::uint64_t position = strike.fault->position;
    if (strike.fault->kind == FaultKind::flip_bit) {
        Byte& byte = (*bytes)[static_cast<std::size_t>(position / 8 % bytes->size())];
        byte = static_cast<Byte>(byte ^ (1U << (position % 8)));
    } else if (strike.fault->kind == FaultKind::short_read && position < bytes->size()) {
        bytes->resize(static_cast<std::size_t>(position));
    }
    return bytes;
}

std::optional<Bytes> FaultStore::get(const std::string& name, ByteRange range, const CallOptions& options) {
    return read(StoreVerb::get, name, options, [&] { return inner().get(name, range, options); });
}

std::optional<Bytes> FaultStore::get_version(const std::string& name, const std::string& version,
                                             ByteRange range, const CallOptions& options) {
    return read(StoreVerb::get_version, name, options,
                [&] { return inner().get_version(name, version, range, options); });
}

void FaultStore::list(const std::string& prefix, const std::string& after_name,
                      const std::function<bool(const ObjectInfo&)>& visit, const CallOptions& options) {
    const Strike strike = begin(StoreVerb::list, prefix);
    before(strike, options);
    const bool cut = strike.fault && strike.fault->kind == FaultKind::fail_after;
    std::uint64_t visited = 0;
    bool satisfied = false;
    inner().list(
        prefix, after_name,
        [&](const ObjectInfo& object) {
            if (cut && visited++ == strike.fault->position) return false;
            satisfied = !visit(object);
            return !satisfied;
        },
        options);
    if (cut && satisfied) return;
    after(strike);
}

} // namespace holdfast
