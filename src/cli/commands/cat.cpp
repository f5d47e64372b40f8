#include "base/error.h"
#include "base/file_descriptor.h"
#include "cli/commands/repository_option.h"
#include "documents/entry_name.h"
#include "repository/content/content_reader.h"
#include "repository/node/directory_cursor.h"

#include <array>

#include <fmt/format.h>
#include <unistd.h>

namespace holdfast {

namespace {

struct Arguments {
    std::string repository;
    std::string snapshot;
    std::string path;
    std::string source;
};

// Writes a file to standard output in order; memory is that of a few frames.
class InOrder {
  public:
    explicit InOrder(PackReader& packs) : packs_(packs) {}

    void write(const Extents& extents) {
        for (const Extent& extent : extents) {
            fill_hole(extent.file_offset);
            if (!frame_ || *frame_ != extent.frame) {
                raw_ = packs_.read_frame(extent.frame);
                frame_ = extent.frame;
            }
            if (extent.frame_offset > raw_.size() || extent.length > raw_.size() - extent.frame_offset) {
                throw Error(ErrorCode::corrupt, "the file refers to bytes behind the end of a frame");
            }
            write_all(STDOUT_FILENO, ByteView(raw_).subspan(extent.frame_offset, extent.length),
                      "standard output");
            position_ = extent.end();
        }
    }
    void fill_hole(std::uint64_t end) {
        static constexpr std::array<Byte, 65536> zeros{};
        while (position_ < end) {
            const std::uint64_t now = std::min<std::uint64_t>(zeros.size(), end - position_);
            write_all(STDOUT_FILENO, ByteView(zeros).first(now), "standard output");
            position_ += now;
        }
    }

  private:
    PackReader& packs_;
    std::optional<FrameAddress> frame_;
    Bytes raw_;
    std::uint64_t position_ = 0;
};

int run_cat(CommandContext& context, const Arguments& arguments) {
    const OpenRepository open = context.open(arguments.repository);
    Repository& repository = *open.repository;
    const Snapshot snapshot = repository.find_snapshot(arguments.snapshot, arguments.source);
    std::string path = arguments.path;
    while (path.starts_with('/')) path.erase(0, 1);
    const std::optional<TreeEntry> entry = find_path(repository.nodes(), snapshot.root, path);
    if (!entry) {
        throw Error(ErrorCode::usage, fmt::format("the snapshot has no '/{}'", printable(path)),
                    "look for it with 'holdfast find'");
    }
    if (entry->type != EntryType::file) {
        throw Error(ErrorCode::usage, fmt::format("'/{}' is not a file", printable(path)),
                    "list it with 'holdfast ls'");
    }
    if ((entry->flags & entry_flag::unreadable) != 0 && entry->size > 0 &&
        std::holds_alternative<std::monostate>(entry->content)) {
        throw Error(ErrorCode::not_found,
                    fmt::format("'/{}' could not be read when it was backed up", printable(path)),
                    "its content is not in this snapshot; try an earlier one");
    }
    InOrder out(repository.packs());
    for_each_extent(repository.nodes(), *entry, [&](const Extents& extents) { out.write(extents); });
    out.fill_hole(entry->size);
    return exit_done;
}

} // namespace

void add_cat(CLI::App& app, RunCommand& run) {
    auto a = std::make_shared<Arguments>();
    CLI::App* command = app.add_subcommand("cat", "Write a file of a snapshot to standard output");
    add_repository_option(*command, a->repository);
    command->add_option("SNAPSHOT", a->snapshot, "Id, beginning of an id, or latest")->required();
    command->add_option("PATH", a->path, "The file")->required();
    command->add_option("--source", a->source, "With latest: of this source");
    command->callback([a, &run] { run = [a](CommandContext& context) { return run_cat(context, *a); }; });
}

} // namespace holdfast
