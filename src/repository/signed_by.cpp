#include "repository/signed_by.h"

#include "base/error.h"
#include "repository/revocation.h"

#include <optional>

namespace holdfast {

namespace {

// magic, version, suite, kind, class: the writer's slot follows (docs/format.md, section 5).
constexpr std::size_t pack_writer_offset = 8;

class Collector {
  public:
    Collector(Store& store, const Trust& trust, const SlotId& slot, const CallOptions& options)
        : store_(store), trust_(trust), slot_(slot), options_(options) {}

    SignedObjects collect() && {
        read_whole(std::string(config_name));
        for (const std::string_view prefix : {slots_prefix, grants_prefix, revocations_prefix, commits_prefix,
                                              forgets_prefix, verdicts_prefix, moved_prefix}) {
            for (const ObjectInfo& object : store_.list_all(std::string(prefix), options_))
                read_whole(object.name);
        }
        const std::string own_statements = std::string(statements_prefix) + slot_.hex() + "-";
        for (const ObjectInfo& object : store_.list_all(own_statements, options_)) read_whole(object.name);
        for (const std::string_view prefix : {intents_prefix, checkpoints_prefix, condemned_prefix}) {
            for (const ObjectInfo& object : store_.list_all(std::string(prefix), options_))
                read_run(object.name);
        }
        read_packs();
        read_logs();
        return std::move(found_);
    }

  private:
    // A damaged or foreign object is no reason to stop: it counts for nobody.
    std::optional<ObjectHeader> header_of(const std::string& name, ByteView bytes) {
        try {
            const ObjectHeader header = read_object_header(name, bytes);
            known_runs_.insert(header.run);
            if (header.writer != slot_) return std::nullopt;
            return header;
        } catch (const Error&) {
            return std::nullopt;
        }
    }

    void read_whole(const std::string& name) {
        const auto bytes = store_.get(name, {}, options_);
        if (!bytes || !header_of(name, *bytes)) return;
        try {
            const OpenedObject object = check_object(name, *bytes, trust_);
            found_.objects.emplace(name, object.digest);
            if (object.run != RunId{}) found_.runs.insert(object.run);
        } catch (const Error&) {
            // It bears the slot's name but not its signature, or was not the slot's to write.
        }
    }

    void read_run(const std::string& name) {
        const auto bytes = store_.get(name, {0, object_header_limit_bytes}, options_);
        if (!bytes) return;
        if (const auto header = header_of(name, *bytes)) found_.runs.insert(header->run);
    }

    void read_packs() {
        std::set<RunId> asked;
        std::vector<std::string> names;
        for (const ObjectInfo& object : store_.list_all(std::string(packs_prefix), options_)) {
            const auto pack = PackId::from_name(object.name);
            if (pack && !known_runs_.contains(pack->run) && asked.insert(pack->run).second) {
                names.push_back(object.name);
            }
        }
        for (const std::string& name : names) {
            const auto bytes = store_.get(name, {pack_writer_offset, SlotId::size()}, options_);
            if (bytes && bytes->size() == SlotId::size() && equal_constant_time(*bytes, slot_.view())) {
                found_.runs.insert(PackId::from_name(name)->run);
            }
        }
    }

    void read_logs() {
        std::map<RunId, std::string> unknown;
        store_.list(
            std::string(logs_prefix), "",
            [&](const ObjectInfo& object) {
                const auto slice = LogSliceId::from_name(object.name);
                if (slice && !known_runs_.contains(slice->run)) unknown.try_emplace(slice->run, object.name);
                return true;
            },
            options_);
        for (const auto& [run, name] : unknown) read_run(name);
    }

    Store& store_;
    const Trust& trust_;
    SlotId slot_;
    CallOptions options_;
    std::set<RunId> known_runs_;
    SignedObjects found_;
};

} // namespace

SignedObjects signed_by(Store& store, const Trust& trust, const SlotId& slot, const CallOptions& options) {
    return Collector(store, trust, slot, options).collect();
}

} // namespace holdfast
