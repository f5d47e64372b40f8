// Bytes of a connection made into requests, by the parser of Boost.Beast and checks of our own on top.
#pragma once

#include "api/http/message.h"

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace holdfast::api {

struct RequestLimits {
    std::size_t header_bytes = 16u << 10; // request line and fields
    std::size_t target_bytes = 4u << 10;
    std::size_t body_bytes = 1u << 20;
};

// Reads one request. What two servers in a row might read differently is refused, never repaired: a length
// beside a transfer coding, several lengths, codings other than chunked, several Host fields, a target that
// is not clean. Not thread-safe.
class RequestParser {
  public:
    enum class State { header, body, done, refused };

    explicit RequestParser(const RequestLimits& limits);
    ~RequestParser();
    RequestParser(RequestParser&&) noexcept;
    RequestParser& operator=(RequestParser&&) noexcept;

    // Takes what it can from the front of `input`, and returns how many bytes that was; the rest must be
    // given again, with more behind it. Bytes behind the end of the request are left.
    std::size_t feed(std::string_view input);
    State state() const;

    // When refused: with which status, and why.
    int status() const;
    const std::string& reason() const;
    // Once the header is read: whether the client waits for "100 Continue", and whether it wants the
    // connection to go on.
    bool expects_continue() const;
    bool keep_alive() const;
    // When done, once.
    Request take(std::string peer);

  private:
    struct Inside;
    std::unique_ptr<Inside> inside_;
};

} // namespace holdfast::api
