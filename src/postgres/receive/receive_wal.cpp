#include "postgres/receive/receive_wal.h"

#include "postgres/receive/wal_receiver.h"

namespace holdfast::postgres {

std::string receive_directory(const std::string& spool_directory) { return spool_directory + "/receive"; }

std::string receive_state_path(const std::string& spool_directory) {
    return receive_directory(spool_directory) + "/state.json";
}

ReceiveResult receive_wal(const OpenArchive& open, const ReceiveSettings& settings, Logger& logger,
                          std::stop_token stop) {
    return WalReceiver(open, settings, logger, std::move(stop)).run();
}

ReceiveResult receive_wal(Repository& repository, const ReceiveSettings& settings, std::stop_token stop) {
    const auto open = [&repository] { return std::shared_ptr<Repository>(&repository, [](Repository*) {}); };
    return receive_wal(open, settings, repository.logger(), std::move(stop));
}

} // namespace holdfast::postgres
