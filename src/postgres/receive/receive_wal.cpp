#include "postgres/receive/receive_wal.h"

#include "postgres/receive/wal_receiver.h"

namespace holdfast::postgres {

std::string receive_directory(const std::string& spool_directory) { return spool_directory + "/receive"; }

std::string receive_state_path(const std::string& spool_directory) {
    return receive_directory(spool_directory) + "/state.json";
}

ReceiveState receive_wal(Repository& repository, const ReceiveSettings& settings, std::stop_token stop) {
    return WalReceiver(repository, settings, std::move(stop)).run();
}

} // namespace holdfast::postgres
