// Writing the content of one regular file, new or in place.
#pragma once

#include "base/bytes.h"
#include "base/file_descriptor.h"

#include <cstdint>
#include <string>

namespace holdfast {

// What to do with an entry that is already there.
enum class Existing {
    refuse,  // Error(already_exists)
    replace, // remove it (a directory with everything in it) and make a new one
    update,  // go on with it where it is of the right kind, else replace it
};

// Messages name the entry only: the caller knows the path. Everything throws Error.
class FileWriter {
  public:
    // Opens regular file `name` for writing, with mode 0600 when it is new. With Existing::update the file
    // that is there keeps its content and attributes, unless it has further names (hard links): writing would
    // change those too, so it is replaced. Never follows a link; refuses names that check_entry_name refuses.
    static FileWriter open(int directory_fd, const std::string& name, Existing existing);

    // True when it was made by open(): all of it is a hole then.
    bool is_new() const { return new_; }
    // What it had when it was opened.
    std::uint64_t previous_size_bytes() const { return previous_size_bytes_; }

    // Asks the file system to set space aside for a file without holes, so that a full disk shows before
    // anything is written. Does nothing where the file system can't. Throws Error(no_space).
    void preallocate(std::uint64_t size_bytes);
    // Cuts or lengthens; what is added is a hole. To be called once everything is written, since a file that
    // shrinks in place must lose its end.
    void set_size(std::uint64_t size_bytes);

    // The following may be called by several threads at once, for ranges that do not overlap.
    void write(std::uint64_t offset, ByteView data);
    // Writes only if the bytes there differ; true when it wrote.
    bool write_if_different(std::uint64_t offset, ByteView data);
    // Makes the range read as zeros, without taking space where the file system can do that. May be called
    // for a range beyond the end, which does not move.
    void make_hole(std::uint64_t offset, std::uint64_t length);
    // Reads back; fewer bytes than asked for at the end of the file.
    std::size_t read(std::uint64_t offset, MutableByteView out) const;

    // Has the kernel begin to write the range to the disk, without waiting for it; sync() or syncfs(2) still
    // has to follow. A hint: errors show then.
    void begin_sync(std::uint64_t offset, std::uint64_t length);

    // Makes content and size durable.
    void sync();
    // Closes now, so that late write errors are seen. Metadata must be applied before, by fd().
    void close();
    int fd() const { return file_.get(); }

  private:
    FileWriter(FileDescriptor file, std::string name, bool is_new, std::uint64_t previous_size_bytes)
        : file_(std::move(file)),
          name_(std::move(name)),
          new_(is_new),
          previous_size_bytes_(previous_size_bytes) {}
    void zero(std::uint64_t offset, std::uint64_t length);

    FileDescriptor file_;
    std::string name_; // printable
    bool new_ = true;
    std::uint64_t previous_size_bytes_ = 0;
};

} // namespace holdfast
