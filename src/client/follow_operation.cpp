#include "client/follow_operation.h"

#include "base/error.h"

#include <algorithm>
#include <optional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace holdfast {

namespace {

using Json = nlohmann::json;

constexpr Duration shortest_pause = std::chrono::milliseconds(50);
constexpr Duration longest_pause = std::chrono::seconds(1);

std::uint64_t number_of(const Json& object, const char* member) {
    const auto found = object.find(member);
    return found != object.end() && found->is_number_unsigned() ? found->get<std::uint64_t>() : 0;
}

void show(const Json& operation, const std::string& state, Progress& progress) {
    const auto phase = operation.find("phase");
    const bool named = phase != operation.end() && phase->is_string();
    progress.set_phase(state == "queued" ? "waiting for its turn" : named ? phase->get<std::string>() : "");
    progress.set_total(number_of(operation, "total_bytes"), number_of(operation, "total_items"));
    progress.set_done(number_of(operation, "done_bytes"), number_of(operation, "done_items"));
}

} // namespace

bool is_over_state(const std::string& state) { return state != "queued" && state != "running"; }

Json follow_operation(ApiClient& api, const std::string& id, const FollowSettings& settings,
                      Progress& progress, const std::stop_token& stop) {
    Clock& clock = api.clock();
    Duration pause = shortest_pause;
    std::optional<Duration> away_since;
    for (;;) {
        try {
            Json operation = api.get("/v1/operations/" + url_part(id));
            away_since.reset();
            const auto found = operation.find("state");
            if (found == operation.end() || !found->is_string())
                throw Error(ErrorCode::incompatible, fmt::format("{} tells no state of {}", api.url(), id),
                            "is the server of another version?");
            const auto state = found->get<std::string>();
            show(operation, state, progress);
            if (is_over_state(state)) return operation;
        } catch (const Error& error) {
            if (!error.retryable()) throw;
            const Duration now = clock.steady();
            if (!away_since) {
                away_since = now;
                if (settings.on_away) settings.on_away(error);
            }
            if (now - *away_since > settings.patience) throw;
        }
        if (!clock.sleep_for(pause, stop))
            throw Error(ErrorCode::cancelled, fmt::format("the operation {} is followed no longer", id));
        pause = std::min(pause * 2, longest_pause);
    }
}

} // namespace holdfast
