// One request on its way through a handler: what was asked, by whom, and what handlers need to answer.
#pragma once

#include "api/access.h"
#include "api/http/message.h"
#include "base/form.h"
#include "catalog/answers.h"
#include "catalog/audit.h"
#include "catalog/catalog.h"

#include <functional>
#include <map>
#include <optional>
#include <string>

namespace holdfast::api {

// What all calls of a server share. All of it outlives them.
struct CallServices {
    Catalog& catalog;
    Audit& audit;
    Answers& answers;
    Clock& clock;
    Random& random;
    Logger& logger;
};

// A part of a list: from where on, and how many.
struct Page {
    std::string after; // what the cursor holds; empty at the beginning
    std::size_t limit = 100;

    // What the cursor holds, as a number; 0 at the beginning. Throws Error(usage).
    std::int64_t after_number() const;
};

// Used by the one thread that answers.
class Call {
  public:
    Call(const Request& request, Identity identity, std::map<std::string, std::string> parameters,
         CallServices& services)
        : request_(request),
          identity_(std::move(identity)),
          parameters_(std::move(parameters)),
          services_(services) {}

    const Request& request() const { return request_; }
    const Identity& identity() const { return identity_; }
    // As the trail names him.
    const std::string& actor() const { return identity_.token.name; }
    CallServices& services() { return services_; }
    // Of the path: "id" of /v1/operations/{id}.
    const std::string& path_parameter(const std::string& name) const { return parameters_.at(name); }
    const std::map<std::string, std::string>& path_parameters() const { return parameters_; }

    // The body as a form. Throws Error(usage) when it is no JSON object; an absent body is an empty object.
    Form form() const;
    // Throws Error(usage) about a body that is no empty object: nothing that a client says is without effect.
    void expect_no_body() const { form().expect_no_more(); }
    // A number of the query. Throws Error(usage) with its name as field when it is none between `least` and
    // `most`.
    std::optional<std::uint64_t> number(std::string_view name, std::uint64_t least, std::uint64_t most) const;
    // Throws Error(usage) about a parameter of the query that is not among these, or is there twice.
    void expect_parameters(std::initializer_list<std::string_view> names) const;
    // "limit" (1 to 1000, or 100) and "cursor", which must be one that cursor() made for the same `list`.
    Page page(std::string_view list) const;
    static std::string cursor(std::string_view list, std::string_view after);

    // Runs `body` in a transaction of the catalog, together with keeping its answer when the request has an
    // Idempotency-Key: all of it is done once, or nothing is. What `body` throws undoes it.
    Response change(const std::function<Response(Database&)>& body);
    // What is done in each transaction of change() beside it: `before` at its beginning, `after` when its
    // answer is known.
    void beside_changes(std::function<void(Database&)> before,
                        std::function<void(Database&, const Response&)> after) {
        before_ = std::move(before);
        after_ = std::move(after);
    }
    // An entry of the trail, in the same transaction. `details` is JSON.
    void audit(Database& database, const std::string& action, const std::string& object,
               const std::string& details = "{}");
    // For what no transaction can take back: `action` is entered into the trail, in a transaction that begins
    // as those of change() do, before `body` does it; and when that throws an Error, that as well, as
    // "<action>.failed". `details` is JSON.
    template <typename Body>
    auto in_trail(const std::string& action, const std::string& object, const std::string& details,
                  Body&& body) {
        enter(action, object, details);
        try {
            return body();
        } catch (const Error& error) {
            enter_failure(action, object, error);
            throw;
        }
    }
    // Whether this is done on an approval: perhaps again, when who did it before had no time to say so.
    bool is_approved() const { return identity_.secret.empty(); }
    // The answer that was kept for this request, if one was; for routers, and for handlers that let such
    // requests wait for each other.
    std::optional<Response> kept_answer();

    // For routers: more was demanded of this request than of others, as Demand says.
    void demanded(std::string judged_by) { judged_by_ = std::move(judged_by); }
    // For handlers that know better than who demanded. Throws Error(fenced) unless more was demanded, by what
    // is still so.
    void require_demanded(std::string_view judged_by) const;

    // An answer may be given only for the version of a thing that the client has seen. Throws nothing:
    // the answer is 428 without If-Match, 412 with another tag, nothing when `etag` is among those.
    std::optional<Problem> unless_match(std::string_view etag) const;
    // As unless_match(), where it must be said what was seen: 428 also on "*".
    std::optional<Problem> unless_seen(std::string_view etag) const;

  private:
    std::optional<AnswerKey> answer_key() const;
    void enter(const std::string& action, const std::string& object, const std::string& details);
    void enter_failure(const std::string& action, const std::string& object, const Error& error);

    const Request& request_;
    Identity identity_;
    std::map<std::string, std::string> parameters_;
    CallServices& services_;
    std::optional<std::string> judged_by_;
    std::function<void(Database&)> before_ = [](Database&) {};
    std::function<void(Database&, const Response&)> after_ = [](Database&, const Response&) {};
};

// The tag of a thing whose JSON is `text`: "\"…\"", of its digest.
std::string etag_of(std::string_view text);
Response json_response(int status, std::string body);

} // namespace holdfast::api
