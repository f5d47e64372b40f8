#include "documents/restore/file_restore.h"

#include "base/crc32c.h"
#include "crypto/hash.h"
#include "documents/entry_metadata.h"
#include "documents/entry_name.h"
#include "documents/file_reader.h"
#include "documents/remove_tree.h"
#include "documents/restore/file_sum.h"
#include "repository/content/file_content.h"
#include "repository/node/file_map_node.h"
#include "repository/node/segment_content.h"

#include <algorithm>

#include <fcntl.h>
#include <unistd.h>

namespace holdfast {

namespace {

constexpr std::size_t most_problems = 1000;
constexpr std::size_t block_bytes = 1u << 20;

} // namespace

void RestoreReport::problem(const std::string& path, const std::string& what) {
    logger_.warning("not restored", {{"path", printable(path)}, {"reason", what}});
    const std::scoped_lock lock(mutex_);
    ++result_.failed;
    if (result_.problems.size() < most_problems) result_.problems.push_back({"/" + printable(path), what});
}

void RestoreReport::metadata_problems(const std::string& path, const std::vector<MetadataProblem>& problems) {
    for (const MetadataProblem& found : problems) problem(path, found.error.message());
}

void RestoreReport::wrote(std::uint64_t bytes) {
    written_bytes_ += bytes;
    progress_.add_done(bytes);
}

void RestoreReport::add(const std::function<void(TreeRestoreResult&)>& change) {
    const std::scoped_lock lock(mutex_);
    change(result_);
}

TreeRestoreResult RestoreReport::take() {
    const std::scoped_lock lock(mutex_);
    result_.written_bytes = written_bytes_;
    return std::move(result_);
}

// With sync, the disk begins to write files of this size at once; smaller ones go out faster together at the
// end.
constexpr std::uint64_t early_bytes = 16u << 20;

// One file that is being written. Its descriptor stays open until its last piece came.
class FileRestorer::Sink final : public ContentSink {
  public:
    Sink(FileWriter file, TreeEntry entry, std::string path, FileDescriptor directory, FileRestorer& restorer)
        : file_(std::move(file)),
          entry_(std::move(entry)),
          path_(std::move(path)),
          directory_(std::move(directory)),
          settings_(restorer.settings_),
          sync_early_(settings_.sync && entry_.size >= early_bytes),
          metadata_(restorer.metadata_),
          report_(restorer.report_) {}

    void write(std::uint64_t file_offset, ByteView bytes) override {
        file_.write(file_offset, bytes);
        kept(file_offset, bytes);
        if (sync_early_) file_.begin_sync(file_offset, bytes.size());
        report_.wrote(bytes.size());
    }

    void done() override {
        try {
            file_.set_size(entry_.size);
            report_.metadata_problems(path_, metadata_.apply(file_.fd(), to_metadata(entry_)));
            file_.close();
            if (settings_.sum) settings_.sum(path_, entry_.size, sum_.of_file(entry_.size));
            report_.finished_file();
        } catch (const Error& error) {
            failed(error);
        }
    }

    void failed(const Error& error) override {
        std::string what = error.message();
        // A new file that is not proven to the last byte must not be taken for good.
        if (file_.is_new() && directory_.open()) {
            ::unlinkat(directory_.get(), entry_.name.c_str(), 0);
            what += " (the file was removed again)";
        } else {
            what += " (the file is now partly old and partly restored)";
        }
        report_.problem(path_, what);
        report_.finished_file();
    }

    void abandoned() override {
        if (file_.is_new() && directory_.open()) ::unlinkat(directory_.get(), entry_.name.c_str(), 0);
    }

    // A piece that was right already.
    void kept(std::uint64_t file_offset, ByteView bytes) {
        if (settings_.sum) sum_.add(file_offset, bytes);
    }

    FileWriter& file() { return file_; }

  private:
    FileWriter file_;
    const TreeEntry entry_;
    const std::string path_;
    FileDescriptor directory_; // for removing a new file that failed
    const TreeRestoreSettings& settings_;
    const bool sync_early_;
    FileSum sum_;
    MetadataWriter& metadata_;
    RestoreReport& report_;
};

FileRestorer::FileRestorer(const TreeRestoreSettings& settings, const RestoreTools& tools,
                           ContentReader& content, MetadataWriter& metadata, RestoreReport& report)
    : settings_(settings), tools_(tools), content_(content), metadata_(metadata), report_(report) {
    if (!tools.domain_key.empty()) signer_ = std::make_shared<const PageSigner>(tools.domain_key);
}

// A regular file that is already there.
struct FileRestorer::Present {
    FileReader reader;
    FileMetadata metadata;
};

std::optional<FileRestorer::Present> FileRestorer::look_at(int directory_fd, const TreeEntry& entry) const {
    if (!settings_.in_place) return std::nullopt;
    FileMetadata metadata;
    Result<FileReader> reader = FileReader::open(directory_fd, entry.name, metadata);
    if (!reader) return std::nullopt;
    return Present{std::move(*reader), std::move(metadata)};
}

bool FileRestorer::is_ours(const Present& present, const TreeEntry& entry) {
    return present.metadata.link_count <= std::max<std::uint64_t>(entry.links, 1);
}

bool FileRestorer::is_right(const Present& present, const TreeEntry& entry, const std::string& path) {
    if (present.metadata.size_bytes != entry.size) return false;
    if (settings_.trust_times) return present.metadata.mtime == entry.mtime;
    if (std::holds_alternative<SegmentGroups>(entry.content) || tools_.domain_key.empty()) return false;
    Hasher digest = Hasher::keyed(tools_.domain_key);
    std::uint32_t crc = 0;
    Bytes block(std::min<std::uint64_t>(block_bytes, entry.size));
    for (std::uint64_t offset = 0; offset < entry.size;) {
        const Result<std::size_t> got = present.reader.read(offset, block);
        if (!got || *got == 0) return false;
        digest.update(ByteView(block).first(*got));
        if (settings_.sum) crc = crc32c(crc, ByteView(block).first(*got));
        offset += *got;
    }
    if (entry.size != 0 && digest.finish<16>() != entry.digest) return false;
    if (settings_.sum && !path.empty()) settings_.sum(path, entry.size, crc);
    return true;
}

void FileRestorer::restore(int directory_fd, const TreeEntry& entry, const std::string& path) {
    if ((entry.flags & entry_flag::unreadable) != 0 &&
        std::holds_alternative<std::monostate>(entry.content) && entry.size > 0) {
        throw Error(ErrorCode::not_found,
                    "it could not be read when it was backed up, so its content is not in the snapshot",
                    "restore it from an earlier snapshot");
    }
    const std::optional<Present> present = look_at(directory_fd, entry);
    if (present && is_ours(*present, entry) && is_right(*present, entry, path)) {
        report_.metadata_problems(path, metadata_.apply(directory_fd, entry.name, to_metadata(entry)));
        report_.add([](TreeRestoreResult& result) { ++result.same_files; });
        report_.finished_file();
        return;
    }
    if (present && present->metadata.link_count == 1) {
        return update(FileWriter::open(directory_fd, entry.name, Existing::update), entry, path);
    }
    restore_new(
        FileWriter::open(directory_fd, entry.name, settings_.in_place ? Existing::replace : Existing::refuse),
        entry, path, directory_fd);
}

void FileRestorer::restore_new(FileWriter file, const TreeEntry& entry, const std::string& path,
                               int directory_fd) {
    FileDescriptor directory(::fcntl(directory_fd, F_DUPFD_CLOEXEC, 0));
    content_.begin_file(std::make_shared<Sink>(std::move(file), entry, path, std::move(directory), *this));
    try {
        for_each_extent(tools_.nodes, entry, [&](const Extents& extents) { content_.add(extents); });
    } catch (const Error& error) {
        content_.fail_file(error);
    }
    content_.finish_file();
}

// Writes only what differs into a file that is there.
void FileRestorer::update(FileWriter file, const TreeEntry& entry, const std::string& path) {
    auto sink = std::make_shared<Sink>(std::move(file), entry, path, FileDescriptor(), *this);
    content_.begin_file(sink);
    try {
        for_each_part(
            entry,
            {[sink](std::uint64_t offset, MutableByteView out) { return sink->file().read(offset, out); },
             [sink](std::uint64_t offset, ByteView bytes) { sink->kept(offset, bytes); },
             [&](std::uint64_t offset, std::uint64_t length) { sink->file().make_hole(offset, length); },
             [&](const Extents& extents, const std::shared_ptr<PresentContent>& present) {
                 content_.add(extents, present);
             }});
    } catch (const Error& error) {
        content_.fail_file(error);
    }
    content_.finish_file();
}

std::optional<std::uint64_t> FileRestorer::would_write(int directory_fd, const TreeEntry& entry) {
    const std::optional<Present> present = look_at(directory_fd, entry);
    if (!present) return entry.size;
    if (is_ours(*present, entry) && is_right(*present, entry)) return std::nullopt;
    if (present->metadata.link_count > 1) return entry.size;
    std::uint64_t bytes = 0;
    for_each_part(entry, {[&](std::uint64_t offset, MutableByteView out) {
                              const Result<std::size_t> got = present->reader.read(offset, out);
                              return got ? *got : 0;
                          },
                          [](std::uint64_t, ByteView) {}, [](std::uint64_t, std::uint64_t) {},
                          [&](const Extents& extents, const std::shared_ptr<PresentContent>& there) {
                              for (const Extent& extent : extents) {
                                  if (!there)
                                      bytes += extent.length;
                                  else
                                      for (const FileRange& range :
                                           there->missing(extent.file_offset, extent.length))
                                          bytes += range.length;
                              }
                          }});
    // Large files are not compared as a whole, but page by page.
    if (bytes == 0 && present->metadata.size_bytes == entry.size) return std::nullopt;
    return bytes;
}

// Without signatures the whole file counts as different.
void FileRestorer::for_each_part(const TreeEntry& entry, const Update& to) {
    const auto* groups = std::get_if<SegmentGroups>(&entry.content);
    if (groups == nullptr || !signer_) {
        std::uint64_t position = 0;
        for_each_extent(tools_.nodes, entry, [&](const Extents& extents) {
            for (const Extent& extent : extents) {
                if (extent.file_offset > position) to.hole(position, extent.file_offset - position);
                position = extent.end();
            }
            to.take(extents, nullptr);
        });
        if (position < entry.size) to.hole(position, entry.size - position);
        return;
    }
    for_each_segment(tools_.nodes, entry,
                     [&](const Segment& segment, std::uint64_t start, std::uint64_t length) {
                         update_segment(segment, start, length, to);
                     });
}

void FileRestorer::update_segment(const Segment& segment, std::uint64_t start, std::uint64_t length,
                                  const Update& to) {
    Extents extents = extents_of(reading(tools_.nodes), segment, length);
    for (Extent& extent : extents) extent.file_offset += start;
    std::vector<PageSignature> wanted = signatures_of(reading(tools_.nodes), segment, pages_of(length));
    std::uint64_t hole_from = 0;
    for (std::uint64_t page = 0; page <= wanted.size(); ++page) {
        if (page < wanted.size() && wanted[page] == hole_signature) continue;
        if (page > hole_from)
            to.hole(start + hole_from * page_bytes,
                    std::min(page * page_bytes, length) - hole_from * page_bytes);
        hole_from = page + 1;
    }
    to.take(extents,
            std::make_shared<PresentSegment>(signer_, start, length, std::move(wanted), to.read, to.same));
}

} // namespace holdfast
