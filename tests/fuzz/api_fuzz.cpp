// A request through the whole API over a catalog in a file: whatever is asked, by an administrator, it is
// answered, by a status that blames the client or says what was done.
#include "api/api_server.h"
#include "api/http/request_parser.h"
#include "support/scratch_directory.h"

#include <cstdlib>

namespace {

using namespace holdfast;

// Made once for all inputs: they may ask for anything but the end of the last administrator's token.
class Api {
  public:
    Api() {
        if (auto issued = server_.first_token()) secret_ = issued->secret;
    }

    api::Response answer(api::Request request) {
        request.headers.set("Authorization", "Bearer " + secret_);
        // Nobody is to be slowed down here.
        clock_.advance(std::chrono::seconds(1));
        return server_.router().answer(request);
    }

  private:
    static OperationRequest prepare(const api::OperationAsked& asked) {
        Form form = Form::parse(asked.body, "");
        OperationRequest request;
        request.kind = asked.kind;
        request.source = form.text("source");
        form.expect_no_more();
        return request;
    }

    test::ScratchDirectory scratch_;
    Catalog catalog_{"sqlite:" + scratch_.file("catalog.db"), silent_logger()};
    FakeClock clock_{from_rfc3339("2026-11-20T12:00:00Z")};
    SeededRandom random_{1};
    api::ApiServer server_{api::ApiSettings{.state_directory = scratch_.file("state")},
                           api::ApiParts{.catalog = catalog_,
                                         .clock = clock_,
                                         .random = random_,
                                         .logger = silent_logger(),
                                         .prepare = prepare}};
    std::string secret_;
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static Api api;
    api::RequestParser parser({});
    std::string waiting(reinterpret_cast<const char*>(data), size);
    parser.feed(waiting);
    if (parser.state() != api::RequestParser::State::done) return 0;
    const api::Response response = api.answer(parser.take("192.0.2.1"));
    if (response.status >= 500 && response.status != 501) std::abort();
    if (response.status >= 400 && response.content_type != "application/problem+json") std::abort();
    return 0;
}
