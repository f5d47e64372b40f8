#include "postgres/archive/unfinished_file.h"

#include "base/error.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

namespace holdfast::postgres {

UnfinishedFile::UnfinishedFile(std::string path)
    : path_(std::move(path)),
      temporary_(fmt::format("{}{}", path_, unfinished_ending)),
      file_(open_file(temporary_, O_WRONLY | O_CREAT | O_TRUNC, 0600)) {}

UnfinishedFile::~UnfinishedFile() {
    if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void UnfinishedFile::append(ByteView bytes) { write_all(file_.get(), bytes, temporary_); }

void UnfinishedFile::finish(std::uint64_t size_bytes) {
    if (::ftruncate(file_.get(), static_cast<off_t>(size_bytes)) != 0) throw system_error(errno, temporary_);
    file_.close(temporary_);
    if (::rename(temporary_.c_str(), path_.c_str()) != 0) throw system_error(errno, path_);
    temporary_.clear();
}

} // namespace holdfast::postgres
