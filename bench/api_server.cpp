// The API over a catalog that is made for it, for programs that measure how fast it answers (wrk).
//
//   api_server OPERATIONS DIRECTORY    prints the port and a token; serves until its standard input ends
#include "api/api_server.h"

#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>

using namespace holdfast;

int main(int argc, char** argv) {
    if (argc != 3) {
        std::fprintf(stderr, "usage: api_server OPERATIONS DIRECTORY\n");
        return 2;
    }
    Catalog catalog(std::string("sqlite:") + argv[2] + "/catalog.db", silent_logger());
    Operations operations(catalog, system_clock(), system_random());
    const long count = std::strtol(argv[1], nullptr, 10);
    catalog.transaction([&](Database& database) {
        OperationRequest request;
        request.kind = "backup";
        request.requested_by = "bench";
        for (long i = 0; i < count; ++i) {
            request.source = "source" + std::to_string(i % 1000);
            operations.add(database, request);
        }
    });
    api::ApiSettings settings{.state_directory = argv[2]};
    settings.http.listen = "127.0.0.1:0";
    // One client asks for all there is to ask.
    settings.access.per_token = settings.access.per_address = {.per_second = 1e6, .burst = 1e6};
    api::ApiServer server(
        settings,
        {.catalog = catalog, .clock = system_clock(), .random = system_random(), .logger = silent_logger()});
    const auto first = server.first_token();
    server.start();
    std::printf("%u %s\n", unsigned{server.port()}, first ? first->secret.c_str() : "-");
    std::fflush(stdout);
    for (std::string line; std::getline(std::cin, line);) {
    }
    server.stop(std::chrono::seconds(5));
}
