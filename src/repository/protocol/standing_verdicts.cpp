#include "repository/protocol/standing_verdicts.h"

#include "base/error.h"
#include "repository/protocol/protocol_object.h"

#include <algorithm>

#include <fmt/format.h>

namespace holdfast {

namespace {

template <typename Body>
void read_all(const RepositoryContext& context, std::string_view prefix, NameKind name_kind, ObjectKind kind,
              Body (*decode)(ByteView), std::map<RunId, Body>& bodies, StandingVerdicts& standing) {
    const auto damaged = [&](const std::string& name, const std::string& why) {
        standing.damaged.push_back(name);
        standing.problems.push_back(why);
    };
    read_folder(context, prefix, name_kind, {kind},
                {.object =
                     [&](const ObjectName& name, const OpenedObject& object) {
                         try {
                             bodies.emplace(name.owner, decode(object.body));
                         } catch (const Error& error) {
                             damaged(object_name(name),
                                     fmt::format("{}: {}", object_name(name), error.message()));
                         }
                     },
                 .problem =
                     [&](const std::string& name, const Error& error) {
                         if (error.code() == ErrorCode::access_denied || !parse_name(name)) {
                             standing.problems.push_back(error.message());
                         } else {
                             damaged(name, error.message());
                         }
                     }});
}

} // namespace

DoomedPacks StandingVerdicts::decided() const {
    DoomedPacks all;
    for (const auto& [_, verdict] : verdicts) {
        all.merge(verdict.earlier);
        all.merge(verdict.doomed);
    }
    return all;
}

Moves StandingVerdicts::moves() const {
    Moves all;
    for (const auto& [_, verdict] : verdicts) {
        all.insert(verdict.earlier_moves.begin(), verdict.earlier_moves.end());
        all.insert(verdict.moves.begin(), verdict.moves.end());
    }
    return all;
}

LogFloors StandingVerdicts::released() const {
    LogFloors all;
    for (const auto& [_, verdict] : verdicts) raise_floors(all, verdict.released);
    return all;
}

bool StandingVerdicts::has_ended(const RunId& collector) const {
    return verdicts.contains(collector) || std::ranges::any_of(verdicts, [&](const auto& entry) {
               return entry.second.united.contains(collector);
           });
}

StandingVerdicts read_verdicts(const RepositoryContext& context) {
    StandingVerdicts standing;
    const auto read_decided = [&] {
        read_all(context, verdicts_prefix, NameKind::verdict, ObjectKind::verdict, decode_verdict,
                 standing.verdicts, standing);
    };
    if (!context.steps.condemned_before_verdicts) read_decided();
    read_all(context, condemned_prefix, NameKind::condemned, ObjectKind::condemned, decode_condemned_list,
             standing.condemned, standing);
    if (context.steps.condemned_before_verdicts) read_decided();
    return standing;
}

} // namespace holdfast
