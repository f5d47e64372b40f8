// Requests and answers as handlers see them, without anything of the library that carries them.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace holdfast::api {

// Fields of a header in their order; names compare without regard to case (RFC 9110, section 5.1).
class Headers {
  public:
    void add(std::string name, std::string value) { fields_.emplace_back(std::move(name), std::move(value)); }
    // Takes away all of this name, then adds it.
    void set(std::string_view name, std::string value);
    // The first of this name.
    std::optional<std::string_view> find(std::string_view name) const;
    std::size_t count(std::string_view name) const;
    const std::vector<std::pair<std::string, std::string>>& all() const { return fields_; }

  private:
    std::vector<std::pair<std::string, std::string>> fields_;
};

// Whether two names or tokens of HTTP are the same, but for the case of ASCII letters.
bool equal_without_case(std::string_view a, std::string_view b);

struct Request {
    std::string method; // "GET"
    // As it came, without scheme, authority and query.
    std::string path;
    // Of the path, between slashes, decoded: UTF-8 without control characters, none empty, none "." or "..".
    std::vector<std::string> segments;
    // Decoded, in their order.
    std::vector<std::pair<std::string, std::string>> query;
    Headers headers;
    std::string body;
    std::string peer; // the address, without port: "127.0.0.1"

    // The first query parameter of this name.
    std::optional<std::string> parameter(std::string_view name) const;
};

struct Event {
    std::string id;   // what a client says in Last-Event-ID to go on behind it; may be empty
    std::string type; // "operation"
    std::string data; // one line or several
};

// Where the events of one client come from. Used by one thread at a time.
class EventSource {
  public:
    virtual ~EventSource() = default;
    // What came since the last call, soon: no more than some hundred. Nothing at all when it is over. What it
    // throws ends the stream, too.
    virtual std::optional<std::vector<Event>> next() = 0;
};

struct Response {
    int status = 200;
    std::string content_type{}; // none when empty: then there is no body
    std::string body{};
    Headers headers{};
    // In place of a body: the answer is a stream of server-sent events (WHATWG HTML, section 9.2).
    std::shared_ptr<EventSource> events{};
};

// "Not Found" for 404; "Status" for what this program does not use.
std::string_view reason_of(int status);

} // namespace holdfast::api
