#include "documents/directory_listing.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include <dirent.h>
#include <unistd.h>

namespace holdfast {

namespace {

constexpr std::size_t smallest_budget_bytes = 64 * 1024;
// Offsets into the arena are 32 bits wide, with room left for the name that crosses the budget.
constexpr std::size_t largest_budget_bytes = 1U << 30U;
constexpr std::size_t smallest_run_buffer_bytes = 4096;
constexpr std::size_t largest_run_buffer_bytes = 256 * 1024;
constexpr std::size_t record_header_bytes = 3;

} // namespace

DirectoryListing::DirectoryListing(int fd, std::size_t budget_bytes, SpillFile& spill)
    : budget_bytes_(std::clamp(budget_bytes, smallest_budget_bytes, largest_budget_bytes)),
      spill_(&spill),
      spill_start_(spill.end()) {
    try {
        read_directory(fd);
        if (runs_.empty()) {
            sort();
        } else {
            spill_run();
            start_merge();
        }
    } catch (...) {
        spill_->truncate(spill_start_);
        throw;
    }
}

DirectoryListing::DirectoryListing(DirectoryListing&& other) noexcept
    : budget_bytes_(other.budget_bytes_),
      spill_(other.spill_),
      spill_start_(other.spill_start_),
      arena_(std::move(other.arena_)),
      offsets_(std::move(other.offsets_)),
      position_(other.position_),
      runs_(std::exchange(other.runs_, {})),
      heap_(std::move(other.heap_)),
      last_(std::move(other.last_)),
      any_given_(other.any_given_),
      type_hint_(other.type_hint_),
      error_(std::move(other.error_)) {}

DirectoryListing::~DirectoryListing() {
    if (spilled()) spill_->truncate(spill_start_);
}

void DirectoryListing::read_directory(int fd) {
    if (::lseek(fd, 0, SEEK_SET) < 0) {
        error_ = system_error(errno, "reading a directory");
        return;
    }
    alignas(dirent64) std::array<char, 64UL * 1024> buffer;
    for (;;) {
        const ssize_t got = ::getdents64(fd, buffer.data(), buffer.size());
        if (got == 0) return;
        if (got < 0) {
            if (errno == EINTR) continue;
            // ENOENT: the directory itself was removed; then it has no entries any more.
            if (errno != ENOENT) error_ = system_error(errno, "reading a directory");
            return;
        }
        for (std::size_t at = 0; at < static_cast<std::size_t>(got);) {
            // Read by offset: records are aligned for their struct, but are shorter than it.
            std::uint16_t record_bytes = 0;
            std::memcpy(&record_bytes, buffer.data() + at + offsetof(dirent64, d_reclen),
                        sizeof record_bytes);
            const char* name = buffer.data() + at + offsetof(dirent64, d_name);
            const auto type = static_cast<unsigned char>(buffer[at + offsetof(dirent64, d_type)]);
            at += record_bytes;
            if (std::strcmp(name, ".") != 0 && std::strcmp(name, "..") != 0)
                add(name, std::strlen(name), type);
        }
    }
}

void DirectoryListing::add(const char* name, std::size_t length, unsigned char type) {
    // Half, because a vector that grows may own twice what it holds.
    if (arena_.size() + length + 2 + (offsets_.size() + 1) * sizeof(std::uint32_t) > budget_bytes_ / 2)
        spill_run();
    offsets_.push_back(static_cast<std::uint32_t>(arena_.size()));
    arena_.push_back(static_cast<char>(type));
    arena_.insert(arena_.end(), name, name + length + 1);
}

void DirectoryListing::sort() {
    const char* base = arena_.data();
    // strcmp compares as unsigned bytes (C17 7.24.4), which is the order of snapshots.
    std::sort(offsets_.begin(), offsets_.end(), [base](std::uint32_t a, std::uint32_t b) {
        return std::strcmp(base + a + 1, base + b + 1) < 0;
    });
}

void DirectoryListing::spill_run() {
    sort();
    Run run{.offset = spill_->end(), .end = 0, .buffer = {}};
    Bytes out;
    for (const std::uint32_t offset : offsets_) {
        const std::string_view name(arena_.data() + offset + 1);
        out.push_back(static_cast<Byte>(name.size()));
        out.push_back(static_cast<Byte>(name.size() >> 8U));
        out.push_back(static_cast<Byte>(arena_[offset]));
        out.insert(out.end(), name.begin(), name.end());
        if (out.size() >= smallest_budget_bytes) {
            spill_->append(out);
            out.clear();
        }
    }
    spill_->append(out);
    run.end = spill_->end();
    runs_.push_back(std::move(run));
    arena_.clear();
    offsets_.clear();
}

bool DirectoryListing::advance(Run& run) {
    const auto available = [&] { return run.buffer.size() - run.position; };
    const auto length = [&] {
        return static_cast<std::size_t>(run.buffer[run.position] | (run.buffer[run.position + 1] << 8));
    };
    if (available() < record_header_bytes || available() < record_header_bytes + length()) {
        run.buffer.erase(run.buffer.begin(), run.buffer.begin() + static_cast<std::ptrdiff_t>(run.position));
        run.position = 0;
        const std::size_t kept = run.buffer.size();
        const std::size_t capacity =
            std::clamp(budget_bytes_ / runs_.size(), smallest_run_buffer_bytes, largest_run_buffer_bytes);
        // A record is at most a name of a few hundred bytes; were it longer than the buffer, the buffer
        // grows.
        const std::size_t wanted = std::max(capacity, kept + smallest_run_buffer_bytes) - kept;
        const std::size_t more = std::min<std::uint64_t>(wanted, run.end - run.offset);
        run.buffer.resize(kept + more);
        const std::size_t got = spill_->read(run.offset, MutableByteView(run.buffer).subspan(kept));
        if (got != more)
            throw Error(ErrorCode::io, "a temporary file for directory names is shorter than it was written");
        run.offset += more;
        if (available() == 0) return false;
    }
    const std::size_t size = length();
    run.type = run.buffer[run.position + 2];
    run.name = as_text(ByteView(run.buffer).subspan(run.position + record_header_bytes, size));
    run.position += record_header_bytes + size;
    return true;
}

void DirectoryListing::start_merge() {
    arena_.shrink_to_fit();
    offsets_.shrink_to_fit();
    const auto later = [this](std::size_t a, std::size_t b) { return runs_[a].name > runs_[b].name; };
    for (std::size_t i = 0; i < runs_.size(); ++i) {
        if (!advance(runs_[i])) continue;
        heap_.push_back(i);
        std::push_heap(heap_.begin(), heap_.end(), later);
    }
}

std::optional<std::string_view> DirectoryListing::next() {
    return runs_.empty() ? next_in_memory() : next_merged();
}

std::optional<std::string_view> DirectoryListing::next_in_memory() {
    // A directory that changes while it is listed may show a name twice.
    while (position_ > 0 && position_ < offsets_.size() &&
           std::strcmp(arena_.data() + offsets_[position_] + 1,
                       arena_.data() + offsets_[position_ - 1] + 1) == 0) {
        ++position_;
    }
    if (position_ == offsets_.size()) return std::nullopt;
    const char* entry = arena_.data() + offsets_[position_++];
    type_hint_ = static_cast<unsigned char>(*entry);
    return std::string_view(entry + 1);
}

std::optional<std::string_view> DirectoryListing::next_merged() {
    const auto later = [this](std::size_t a, std::size_t b) { return runs_[a].name > runs_[b].name; };
    while (!heap_.empty()) {
        std::pop_heap(heap_.begin(), heap_.end(), later);
        Run& run = runs_[heap_.back()];
        const bool repeated = any_given_ && run.name == std::string_view(last_.data(), last_.size());
        if (!repeated) {
            last_.assign(run.name.begin(), run.name.end());
            type_hint_ = run.type;
            any_given_ = true;
        }
        if (advance(run)) {
            std::push_heap(heap_.begin(), heap_.end(), later);
        } else {
            heap_.pop_back();
        }
        if (!repeated) return std::string_view(last_.data(), last_.size());
    }
    return std::nullopt;
}

std::size_t DirectoryListing::memory_bytes() const {
    std::size_t bytes = arena_.capacity() + offsets_.capacity() * sizeof(std::uint32_t) + last_.capacity();
    for (const Run& run : runs_) bytes += sizeof run + run.buffer.capacity();
    return bytes;
}

} // namespace holdfast
