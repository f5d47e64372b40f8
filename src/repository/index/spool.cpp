#include "repository/index/spool.h"

#include "base/error.h"

#include <cerrno>
#include <cstdlib>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

namespace holdfast {

namespace {

FileDescriptor nameless_file(const std::string& directory) {
    FileDescriptor file(open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    if (file.open()) return file;
    // Not every file system has O_TMPFILE.
    std::string path = directory + "/spool-XXXXXX";
    file = FileDescriptor(mkostemp(path.data(), O_CLOEXEC));
    if (!file.open()) throw system_error(errno, "a temporary file in " + directory);
    unlink(path.c_str());
    return file;
}

} // namespace

class Spool::Mapping {
  public:
    Mapping(int file, std::size_t size, const std::string& directory) : size_(size) {
        address_ = mmap(nullptr, size, PROT_READ, MAP_SHARED, file, 0);
        if (address_ == MAP_FAILED) throw system_error(errno, "mapping a temporary file in " + directory);
    }
    Mapping(const Mapping&) = delete;
    Mapping& operator=(const Mapping&) = delete;
    ~Mapping() { munmap(address_, size_); }
    ByteView view() const { return {static_cast<const Byte*>(address_), size_}; }

  private:
    void* address_;
    std::size_t size_;
};

Spool::Spool(std::string directory, std::size_t memory_limit_bytes)
    : directory_(std::move(directory)), memory_limit_bytes_(memory_limit_bytes) {}
Spool::~Spool() = default;
Spool::Spool(Spool&&) noexcept = default;
Spool& Spool::operator=(Spool&&) noexcept = default;

void Spool::append(ByteView bytes) {
    mapping_.reset();
    tail_.insert(tail_.end(), bytes.begin(), bytes.end());
    if (tail_.size() > memory_limit_bytes_) flush();
}

void Spool::flush() {
    if (tail_.empty()) return;
    if (!file_.open()) file_ = nameless_file(directory_);
    write_at(file_.get(), file_bytes_, tail_, "a temporary file in " + directory_);
    file_bytes_ += tail_.size();
    tail_.clear();
}

ByteView Spool::view() {
    if (!file_.open()) return tail_;
    flush();
    if (!mapping_) {
        mapping_ = std::make_unique<Mapping>(file_.get(), static_cast<std::size_t>(file_bytes_), directory_);
    }
    return mapping_->view();
}

} // namespace holdfast
