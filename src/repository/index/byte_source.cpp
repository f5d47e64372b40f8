#include "repository/index/byte_source.h"

#include "base/error.h"

#include <cerrno>

#include <sys/stat.h>

namespace holdfast {

namespace {

[[noreturn]] void too_short(std::string_view name) {
    throw Error(ErrorCode::corrupt, std::string(name) + " is shorter than it should be");
}

void check_range(std::uint64_t offset, std::size_t length, std::uint64_t size, std::string_view name) {
    if (offset > size || length > size - offset) too_short(name);
}

std::uint64_t size_of(const FileDescriptor& file, const std::string& name) {
    struct stat status{};
    if (fstat(file.get(), &status) != 0) throw system_error(errno, name);
    return static_cast<std::uint64_t>(status.st_size);
}

} // namespace

void MemorySource::read(std::uint64_t offset, MutableByteView out) const {
    check_range(offset, out.size(), bytes_.size(), name_);
    if (!out.empty()) std::memcpy(out.data(), bytes_.data() + offset, out.size());
}

FileSource::FileSource(FileDescriptor file, std::string name)
    : file_(std::move(file)), name_(std::move(name)), size_(size_of(file_, name_)) {}

void FileSource::read(std::uint64_t offset, MutableByteView out) const {
    if (read_at(file_.get(), offset, out, name_) != out.size()) too_short(name_);
}

WindowSource::WindowSource(std::shared_ptr<const ByteSource> whole, std::uint64_t offset, std::uint64_t size)
    : whole_(std::move(whole)), offset_(offset), size_(size) {
    if (offset > whole_->size() || size > whole_->size() - offset) too_short("an object");
}

void WindowSource::read(std::uint64_t offset, MutableByteView out) const {
    check_range(offset, out.size(), size_, "an object's body");
    whole_->read(offset_ + offset, out);
}

} // namespace holdfast
