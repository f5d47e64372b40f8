#include "server/repository_desk.h"

namespace holdfast {

namespace {

// Keys are added and revoked.
constexpr Duration open_again = std::chrono::hours(1);
constexpr Duration statistics_hold = std::chrono::minutes(1);
// Of statistics, which list all objects, and of a window, which may ask a server that does not answer.
constexpr Duration statistics_limit = std::chrono::minutes(10);
constexpr Duration window_limit = std::chrono::minutes(2);

} // namespace

Repository& RepositoryDesk::repository() {
    if (stop_.stop_requested()) throw Error(ErrorCode::cancelled, "the server ends", {}, true);
    if (repository_ && clock_.steady() - opened_ > open_again) repository_.reset();
    if (!repository_) {
        repository_ = open_();
        opened_ = clock_.steady();
    }
    return *repository_->repository;
}

// What was wrong with what was asked says nothing about the repository.
void RepositoryDesk::forget_after(const Error& error) {
    switch (error.code()) {
    case ErrorCode::usage:
    case ErrorCode::not_found:
    case ErrorCode::already_exists:
        return;
    default:
        repository_.reset();
    }
}

std::string RepositoryDesk::statistics() {
    const std::unique_lock lock(statistics_mutex_, std::try_to_lock);
    if (!lock.owns_lock())
        throw Error(ErrorCode::unavailable, "it is being counted", "ask again in a moment", true)
            .with_retry_after(5);
    const Duration now = clock_.steady();
    if (!statistics_at_ || now - *statistics_at_ > statistics_hold) {
        statistics_ = ask_holdfast(program_, {"stats"}, statistics_limit, stop_.get_token());
        statistics_at_ = now;
    }
    return statistics_;
}

std::string RepositoryDesk::window_at(const std::string& source, const std::string& time) {
    return ask_holdfast(program_, {"window", source, "--at=" + time}, window_limit, stop_.get_token());
}

} // namespace holdfast
