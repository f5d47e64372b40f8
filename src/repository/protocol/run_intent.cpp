#include "repository/protocol/run_intent.h"

#include "base/error.h"
#include "repository/json_form.h"
#include "repository/protocol/protocol_object.h"
#include "repository/protocol/text_form.h"

#include <map>

namespace holdfast {

namespace {

constexpr std::size_t largest_intent_bytes = 64u << 10;
constexpr std::size_t longest_text_bytes = 32u << 10;
// A listing in which names come and go meets one of them, and the first beat in any case.
constexpr std::uint32_t kept_beats = 3;
constexpr Duration removal_timeout = std::chrono::seconds(10); // the next beat matters more

} // namespace

Bytes encode_intent(const IntentBody& intent) {
    JsonWriter out;
    out.text("role", intent.role == RunRole::collector ? "collector" : "writer");
    out.text("what", to_text_form(intent.what));
    out.time("time", intent.time);
    return out.finish();
}

IntentBody decode_intent(ByteView json) {
    const JsonReader in = JsonReader::parse(json, "an intent", largest_intent_bytes);
    IntentBody intent;
    const std::string role = in.text("role", 32);
    if (role != "writer" && role != "collector") in.fail("role", "is not known");
    intent.role = role == "collector" ? RunRole::collector : RunRole::writer;
    intent.what = from_text_form(in.text("what", longest_text_bytes));
    intent.time = in.time("time");
    return intent;
}

RunIntent::RunIntent(const RepositoryContext& context, const RunContext& run, RunRole role, std::string what,
                     Duration beat_interval)
    : context_(context), run_(run), role_(role), what_(std::move(what)) {
    beat();
    if (beat_interval <= Duration::zero()) return;
    thread_ = std::jthread(
        [this, beat_interval](std::stop_token stop) { beat_until_stopped(stop, beat_interval); });
}

RunIntent::~RunIntent() = default;

void RunIntent::beat() {
    if (role_ == RunRole::writer ? !context_.steps.intent : !context_.steps.collector_intent) return;
    const std::scoped_lock lock(mutex_);
    const std::string name = intent_name(run_.id(), next_beat_);
    const Bytes body = encode_intent({role_, what_, context_.clock.now()});
    put_object(context_, name, sign_object(ObjectKind::intent, name, body, run_));
    ++next_beat_;
    remove_outdated_beat();
}

// What fails here costs a name more in the store.
void RunIntent::remove_outdated_beat() {
    const std::uint32_t first_kept = context_.steps.keep_first_beat ? 1 : 0;
    if (!removes_ || next_beat_ < kept_beats + 1 + first_kept) return;
    try {
        context_.store.remove(intent_name(run_.id(), next_beat_ - 1 - kept_beats),
                              {.timeout = removal_timeout, .stop = {}});
    } catch (const Error& error) {
        removes_ = error.code() != ErrorCode::access_denied;
    }
}

std::string RunIntent::newest_name() const {
    const std::scoped_lock lock(mutex_);
    return intent_name(run_.id(), next_beat_ - 1);
}

void RunIntent::beat_until_stopped(std::stop_token stop, Duration interval) {
    while (context_.clock.sleep_for(interval, stop) && !stop.stop_requested()) {
        try {
            beat();
        } catch (const Error&) {
            // The edge of a thread. A beat that fails costs nothing: the next one is tried in its turn, and
            // whoever loses patience meanwhile is found out at the commit.
        }
    }
}

std::vector<ListedRun> list_runs(Store& store) {
    std::map<RunId, ListedRun> runs;
    store.list(std::string(intents_prefix), "",
               [&](const ObjectInfo& info) {
                   const auto name = parse_name(info.name);
                   if (!name || name->kind != NameKind::intent) return true;
                   ListedRun& run = runs[name->owner];
                   run.run = name->owner;
                   if (run.names.empty() || info.modified > run.newest_time) run.newest_time = info.modified;
                   run.newest_beat = name->number;
                   run.names.push_back(info.name);
                   return true;
               },
               {});
    std::vector<ListedRun> result;
    for (auto& [_, run] : runs) result.push_back(std::move(run));
    return result;
}

} // namespace holdfast
