#include "api/event_feed.h"

#include "base/error.h"

#include <charconv>
#include <optional>

#include <fmt/format.h>

namespace holdfast::api {

namespace {

constexpr std::size_t most_kept = 1000;
constexpr std::size_t most_at_once = 200;
// Of where things stand: so many are told in one event, and such events sent together.
constexpr std::size_t most_in_a_part = 200;
constexpr std::size_t most_parts_at_once = 5;

} // namespace

// Its position is the number of the next event it wants; 0 before it is known where it begins.
class EventFeed::Listener final : public EventSource {
  public:
    Listener(std::shared_ptr<EventFeed> feed, std::string last_id)
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
            auto at = feed_->standing_.upper_bound(*told_);
            for (std::size_t i = 0; i < most_in_a_part && at != feed_->standing_.end(); ++i, ++at) {
                part.data += (i > 0 ? "," : "") + at->second;
                told_ = at->first;
            }
            part.data += "]";
            if (at == feed_->standing_.end()) {
                part.id = fmt::format("{}-{}", feed_->name_, position_ - 1);
                told_.reset();
            }
            parts.push_back(std::move(part));
        }
        return parts;
    }

    std::shared_ptr<EventFeed> feed_;
    std::string last_id_;
    bool begun_ = false;
    std::int64_t position_ = 0;
    // While it is told where things stand: up to which id it was.
    std::optional<std::string> told_;
};

std::shared_ptr<EventSource> EventFeed::listen(const std::string& last_id) {
    return std::make_shared<Listener>(shared_from_this(), last_id);
}

void EventFeed::tell(const std::string& type, std::string json) {
    events_.push_back(
        {.id = fmt::format("{}-{}", name_, next_number()), .type = type, .data = std::move(json)});
    if (events_.size() > most_kept) {
        events_.pop_front();
        ++first_number_;
    }
}

void EventFeed::look() {
    const Duration now = clock_.steady();
    if (looked_ && now - last_look_ < interval_) return;
    last_look_ = now;
    if (looked_) return follow();
    name_ = fmt::format("{}-{:x}", kind_, clock_.now().time_since_epoch().count());
    standing_.clear();
    begin();
    looked_ = true;
}

Response answer_with_events(const Call& call, EventFeed& feed) {
    call.expect_parameters({});
    const auto last = call.request().headers.find("Last-Event-ID");
    Response response;
    response.events = feed.listen(std::string(last.value_or("")));
    return response;
}

} // namespace holdfast::api
