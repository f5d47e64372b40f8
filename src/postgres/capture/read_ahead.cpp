#include "postgres/capture/read_ahead.h"

#include "base/error.h"

#include <algorithm>

namespace holdfast::postgres {

namespace {

// A file up to this size is opened and read in one go.
constexpr std::uint64_t whole_bytes = 1u << 20;
constexpr std::size_t most_spare_buffers = 4;

} // namespace

ReadAhead::ReadAhead(const ReadAheadSettings& settings, ReadAheadTools tools, std::stop_token stop)
    : settings_(settings), tools_(std::move(tools)), threads_(std::move(stop)) {
    for (unsigned i = 0; i < std::max(1U, settings_.readers); ++i)
        threads_.start([this](std::stop_token token) { work(token); });
}

ReadAhead::~ReadAhead() = default;

std::shared_ptr<AheadFile> ReadAhead::add(ReadOrder order) {
    auto file = std::make_shared<AheadFile>(*this, std::move(order));
    const std::scoped_lock lock(mutex_);
    queue_.push_back(file);
    changed_.notify_all();
    return file;
}

std::uint64_t ReadAhead::read_bytes() const {
    const std::scoped_lock lock(mutex_);
    return read_bytes_;
}

void ReadAhead::work(const std::stop_token& stop) {
    while (const std::optional<Task> task = next_task(stop)) {
        if (task->whole) {
            read_whole(*task, stop);
        } else if (task->slot) {
            read_slot(*task->file, *task->slot, stop);
            deliver(*task->file, task->slot);
        } else {
            open(*task);
            const std::scoped_lock lock(mutex_);
            changed_.notify_all();
        }
    }
}

std::optional<ReadAhead::Task> ReadAhead::next_task(const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    std::optional<Task> task;
    changed_.wait(lock, stop, [&] { return (task = task_now()).has_value(); });
    return stop.stop_requested() ? std::nullopt : task;
}

bool ReadAhead::room_for(std::size_t bytes) const {
    return waiting_bytes_ == 0 || waiting_bytes_ + bytes <= settings_.waiting_bytes;
}

// Strictly in order: what is taken first is read first, so that what waits to be taken can always go on.
std::optional<ReadAhead::Task> ReadAhead::task_now() {
    while (!queue_.empty()) {
        const std::shared_ptr<AheadFile> file = queue_.front();
        if (file->closed_ || file->planned_ || file->state_ == AheadFile::State::failed) {
            queue_.pop_front();
            continue;
        }
        if (file->state_ == AheadFile::State::opening) return std::nullopt;
        if (file->state_ == AheadFile::State::waiting) {
            const bool whole = !file->order_.pages && file->order_.size_bytes <= whole_bytes;
            if (whole && !room_for(file->order_.size_bytes)) return std::nullopt;
            file->state_ = AheadFile::State::opening;
            if (!whole) return Task{file, nullptr, false};
            // Others go on with the next file meanwhile.
            queue_.pop_front();
            auto slot = std::make_shared<AheadFile::Slot>();
            slot->reserved = file->order_.size_bytes;
            waiting_bytes_ += slot->reserved;
            return Task{file, std::move(slot), true};
        }
        auto slot = std::make_shared<AheadFile::Slot>();
        const std::size_t stretch = file->next_stretch_;
        const std::uint64_t planned_to = file->planned_to_;
        if (!file->next_slot(*slot)) {
            file->planned_ = true;
            changed_.notify_all();
            continue;
        }
        if (!room_for(slot->reserved)) {
            file->next_stretch_ = stretch;
            file->planned_to_ = planned_to;
            return std::nullopt;
        }
        waiting_bytes_ += slot->reserved;
        file->slots_.push_back(slot);
        return Task{file, std::move(slot), false};
    }
    return std::nullopt;
}

void ReadAhead::open(const Task& task) {
    AheadFile& file = *task.file;
    const Access access = file.order_.pages ? Access::pieces : Access::everything;
    Result<std::unique_ptr<ClusterFile>> opened =
        tools_.files.open(file.order_.directory->get(), file.order_.name, file.order_.path, access);
    std::optional<Error> error;
    if (opened) {
        file.file_ = std::move(*opened);
        try {
            file.plan();
        } catch (const Error& failure) {
            error = failure;
        }
    } else {
        error = opened.error();
    }
    const std::scoped_lock lock(mutex_);
    file.error_ = std::move(error);
    file.state_ = file.error_ ? AheadFile::State::failed : AheadFile::State::open;
    if (!task.whole) changed_.notify_all();
}

// A small file; should it have grown, the rest is read when it is asked for.
void ReadAhead::read_whole(const Task& task, const std::stop_token& stop) {
    AheadFile& file = *task.file;
    open(task);
    bool planned = false;
    {
        const std::scoped_lock lock(mutex_);
        const std::size_t reserved = task.slot->reserved;
        if (file.state_ == AheadFile::State::open && file.next_slot(*task.slot)) {
            planned = true;
            waiting_bytes_ += task.slot->reserved;
            file.slots_.push_back(task.slot);
        } else {
            task.slot->reserved = 0;
        }
        waiting_bytes_ -= reserved;
        file.planned_ = true;
    }
    if (planned) read_slot(file, *task.slot, stop);
    deliver(file, task.slot);
}

void ReadAhead::read_slot(AheadFile& file, AheadFile::Slot& slot, const std::stop_token& stop) {
    slot.bytes = buffer(slot.reserved);
    const bool sign = !file.order_.pages && file.large();
    for (AheadFile::Piece& piece : slot.pieces) {
        const MutableByteView place = MutableByteView(slot.bytes).subspan(piece.at, piece.length);
        const Result<std::size_t> got = read_now(file, piece.offset, place, stop);
        if (!got) {
            slot.error = got.error();
            return;
        }
        piece.got = *got;
        if (!sign || *got < piece.length) continue;
        slot.signatures.resize(pages_of(*got));
        tools_.signer.sign(place, slot.signatures);
    }
}

Result<std::size_t> ReadAhead::read_now(AheadFile& file, std::uint64_t offset, MutableByteView out,
                                        const std::stop_token& stop) {
    tools_.rate.take(out.size(), stop);
    Result<std::size_t> got = file.file_->read(offset, out);
    if (!got) return got;
    if (file.order_.relation) {
        tools_.check.check(*file.file_, *file.order_.relation, file.order_.path, offset, out.first(*got),
                           stop);
    }
    tools_.progress.add_done(*got);
    const std::scoped_lock lock(mutex_);
    read_bytes_ += *got;
    return got;
}

void ReadAhead::deliver(AheadFile& file, const std::shared_ptr<AheadFile::Slot>& slot) {
    const std::scoped_lock lock(mutex_);
    slot->ready = true;
    if (file.closed_) release(*slot);
    changed_.notify_all();
}

// With the mutex held.
void ReadAhead::release(AheadFile::Slot& slot) {
    waiting_bytes_ -= slot.reserved;
    slot.reserved = 0;
    if (slot.bytes.capacity() >= whole_bytes && spare_.size() < most_spare_buffers)
        spare_.push_back(std::move(slot.bytes));
    changed_.notify_all();
}

Bytes ReadAhead::buffer(std::size_t size) {
    Bytes found;
    if (size >= whole_bytes) {
        {
            const std::scoped_lock lock(mutex_);
            if (!spare_.empty()) {
                found = std::move(spare_.back());
                spare_.pop_back();
            }
        }
        if (found.empty()) found = tools_.spare_buffer();
    }
    found.resize(size);
    return found;
}

void ReadAhead::stopped() {
    threads_.rethrow_if_failed();
    throw Error(ErrorCode::cancelled, "stopped before it was done");
}

} // namespace holdfast::postgres
