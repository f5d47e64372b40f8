// Bytes that can be read at any place: a file of the local cache, or memory.
//
// Files are read and not mapped: what another process cut short, or a bad sector, is then an Error, where a
// mapped page would end the program.
#pragma once

#include "base/bytes.h"
#include "base/file_descriptor.h"

#include <memory>
#include <string>

namespace holdfast {

// Thread-safe.
class ByteSource {
  public:
    virtual ~ByteSource() = default;
    virtual std::uint64_t size() const = 0;
    // Fills `out` from `offset`. Throws Error(corrupt) when there are fewer bytes, and the system's error.
    virtual void read(std::uint64_t offset, MutableByteView out) const = 0;
};

class MemorySource final : public ByteSource {
  public:
    MemorySource(Bytes bytes, std::string name) : bytes_(std::move(bytes)), name_(std::move(name)) {}
    std::uint64_t size() const override { return bytes_.size(); }
    void read(std::uint64_t offset, MutableByteView out) const override;

  private:
    Bytes bytes_;
    std::string name_;
};

class FileSource final : public ByteSource {
  public:
    // `name` is for messages. The size is that of now.
    FileSource(FileDescriptor file, std::string name);
    std::uint64_t size() const override { return size_; }
    void read(std::uint64_t offset, MutableByteView out) const override;

  private:
    FileDescriptor file_;
    std::string name_;
    std::uint64_t size_;
};

// A part of another source: the body within an object.
class WindowSource final : public ByteSource {
  public:
    // Throws Error(corrupt) when `whole` ends before the window does.
    WindowSource(std::shared_ptr<const ByteSource> whole, std::uint64_t offset, std::uint64_t size);
    std::uint64_t size() const override { return size_; }
    void read(std::uint64_t offset, MutableByteView out) const override;

  private:
    std::shared_ptr<const ByteSource> whole_;
    std::uint64_t offset_;
    std::uint64_t size_;
};

} // namespace holdfast
