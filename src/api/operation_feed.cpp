#include "api/operation_feed.h"

#include "api/operation_json.h"
#include "base/error.h"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <optional>
#include <set>

#include <fmt/format.h>

namespace holdfast::api {

namespace {

constexpr std::size_t most_kept = 1000;
constexpr std::size_t most_at_once = 200;
// Of those that are not over: so many are read at once, told in one event, and such events sent together.
constexpr std::size_t most_read = 1000;
constexpr std::size_t most_in_a_part = 200;
constexpr std::size_t most_parts_at_once = 5;

} // namespace

// Its position is the number of the next event it wants; 0 before it is known where it begins.
class OperationFeed::Listener final : public EventSource {
  public:
    Listener(std::shared_ptr<OperationFeed> feed, std::string last_id)
        : feed_(std::move(feed)), last_id_(std::move(last_id)) {}

    std::optional<std::vector<Event>> next() override {
        // While one of them waits for the catalog, others go on.
        const std::unique_lock lock(feed_->mutex_, std::try_to_lock);
        if (!lock.owns_lock()) return std::vector<Event>{};
        try {
            feed_->look();
        } catch (const Error& error) {
            // A catalog that is away comes back.
            if (!error.retryable()) throw;
            return std::vector<Event>{};
        }
        if (!begun_) resume();
        if (position_ == 0) {
            position_ = feed_->next_number();
            told_ = "";
        }
        if (position_ < feed_->first_number_) {
            position_ = 0;
            return std::vector<Event>{{.id = {}, .type = "gap", .data = "{}"}};
        }
        if (told_) return standing();
        std::vector<Event> events;
        const auto from = static_cast<std::size_t>(position_ - feed_->first_number_);
        for (std::size_t i = from; i < feed_->events_.size() && events.size() < most_at_once; ++i)
            events.push_back(feed_->events_[i]);
        position_ += static_cast<std::int64_t>(events.size());
        return events;
    }

  private:
    void resume() {
        begun_ = true;
        if (!last_id_.starts_with(feed_->name_ + "-")) return;
        const char* digits = last_id_.data() + feed_->name_.size() + 1;
        std::int64_t number = 0;
        const auto [end, error] = std::from_chars(digits, last_id_.data() + last_id_.size(), number);
        const auto last = feed_->first_number_ + static_cast<std::int64_t>(feed_->events_.size()) - 1;
        if (error == std::errc() && number >= 0 && number <= last) position_ = number + 1;
    }

    // The next parts of where things stand. What happens between two of them is told behind the last, which
    // alone has an id: who saw it all goes on behind it.
    std::vector<Event> standing() {
        std::vector<Event> parts;
        while (told_ && parts.size() < most_parts_at_once) {
            Event part{.id = {}, .type = told_->empty() ? "snapshot" : "more", .data = "["};
            auto at = feed_->open_.upper_bound(*told_);
            for (std::size_t i = 0; i < most_in_a_part && at != feed_->open_.end(); ++i, ++at) {
                part.data += (i > 0 ? "," : "") + at->second;
                told_ = at->first;
            }
            part.data += "]";
            if (at == feed_->open_.end()) {
                part.id = fmt::format("{}-{}", feed_->name_, position_ - 1);
                told_.reset();
            }
            parts.push_back(std::move(part));
        }
        return parts;
    }

    std::shared_ptr<OperationFeed> feed_;
    std::string last_id_;
    bool begun_ = false;
    std::int64_t position_ = 0;
    // While it is told where things stand: up to which operation it was.
    std::optional<std::string> told_;
};

std::shared_ptr<EventSource> OperationFeed::listen(const std::string& last_id) {
    return std::make_shared<Listener>(shared_from_this(), last_id);
}

void OperationFeed::note(const Operation& operation) {
    std::string json = operation_json(operation, clock_.now(), false);
    if (is_over(operation.state)) {
        open_.erase(operation.id);
    } else {
        std::string& known = open_[operation.id];
        // An estimate moves with the clock alone; that is no news.
        std::string plain = operation_json(operation, operation.created, false);
        if (known == plain) return;
        known = std::move(plain);
    }
    events_.push_back(
        {.id = fmt::format("{}-{}", name_, next_number()), .type = "operation", .data = std::move(json)});
    if (events_.size() > most_kept) {
        events_.pop_front();
        ++first_number_;
    }
}

void OperationFeed::look() {
    const Duration now = clock_.steady();
    if (looked_ && now - last_look_ < interval_) return;
    last_look_ = now;
    const std::vector<Operation> open = list_open();
    if (!looked_) {
        name_ = fmt::format("{:x}", clock_.now().time_since_epoch().count());
        const auto newest = operations_.list({.limit = 1});
        if (!newest.empty()) newest_ = newest.front().id;
        for (const Operation& operation : open)
            open_[operation.id] = operation_json(operation, operation.created, false);
        looked_ = true;
        return;
    }
    std::set<std::string> still;
    for (const Operation& operation : open) still.insert(operation.id);
    std::vector<std::string> gone;
    for (const auto& [id, json] : open_)
        if (!still.contains(id)) gone.push_back(id);
    for (const std::string& id : gone) {
        if (const auto operation = operations_.find(id)) {
            note(*operation);
        } else {
            open_.erase(id);
        }
    }
    // Those that came and went since the last look are not among the open ones.
    const std::vector<Operation> recent = list_new();
    for (auto operation = recent.rbegin(); operation != recent.rend(); ++operation) {
        newest_ = operation->id;
        if (!still.contains(operation->id)) note(*operation);
    }
    for (auto operation = open.rbegin(); operation != open.rend(); ++operation) note(*operation);
}

// However many, newest first.
std::vector<Operation> OperationFeed::list_open() {
    OperationFilter filter{.states = {OperationState::queued, OperationState::running}, .limit = most_read};
    std::vector<Operation> open = operations_.list(filter);
    for (std::size_t read = open.size(); read == most_read;) {
        filter.before = open.back().id;
        auto part = operations_.list(filter);
        read = part.size();
        std::ranges::move(part, std::back_inserter(open));
    }
    return open;
}

// Those since the last look, newest first.
std::vector<Operation> OperationFeed::list_new() {
    OperationFilter filter{.limit = most_at_once};
    std::vector<Operation> recent;
    for (;;) {
        auto part = operations_.list(filter);
        for (Operation& operation : part) {
            if (operation.id <= newest_) return recent;
            recent.push_back(std::move(operation));
        }
        if (part.size() < most_at_once) return recent;
        filter.before = recent.back().id;
    }
}

} // namespace holdfast::api
