#include "documents/tree_walker.h"

#include "documents/directory_listing.h"
#include "documents/directory_reader.h"
#include "documents/entry_name.h"
#include "documents/source_roots.h"
#include "documents/spill_file.h"

#include <algorithm>
#include <array>
#include <memory>
#include <optional>

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

namespace holdfast {

namespace {

constexpr std::string_view cache_tag_name = "CACHEDIR.TAG";
constexpr std::string_view cache_tag_signature = "Signature: 8a477f597d28d172789f06886806bc55";

bool has_cache_tag(int directory_fd) {
    const FileDescriptor tag(::openat(directory_fd, cache_tag_name.data(),
                                      O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    struct stat status{};
    if (!tag || ::fstat(tag.get(), &status) != 0 || !S_ISREG(status.st_mode)) return false;
    std::array<Byte, cache_tag_signature.size()> start{};
    try {
        return read_at(tag.get(), 0, start, std::string(cache_tag_name)) == start.size() &&
               as_text(start) == cache_tag_signature;
    } catch (const Error&) {
        return false; // a tag that can't be read tags nothing: rather too much in the backup than too little
    }
}

// A directory on the way down to where the walk is.
struct Frame {
    std::size_t path_size = 0;
    // What is shown of it: what `listing` has, what `node` names, or both, merged. A name may wait in
    // `listed`.
    std::optional<DirectoryListing> listing;
    std::string listed;
    bool has_listed = false;
    unsigned char listed_type = DT_UNKNOWN;
    const RootNode* node = nullptr;
    decltype(RootNode::children)::const_iterator next_node{};
    PathFilter::Cursor cursor;
    bool inside = false; // belongs to a path that is backed up
    std::uint64_t root_device = 0;
    FollowLinks followed = FollowLinks::no;
    bool entered = false;
    std::unique_ptr<FileMetadata> pending; // while it is excluded and not entered
    bool finished = false;
    std::size_t names_bytes = 0;

    bool next(std::string& name, unsigned char& type);
};

bool Frame::next(std::string& name, unsigned char& type) {
    if (finished) return false;
    if (!has_listed && listing) {
        if (const std::optional<std::string_view> found = listing->next()) {
            listed.assign(*found);
            listed_type = listing->type_hint();
            has_listed = true;
        }
    }
    const bool has_node = node != nullptr && next_node != node->children.end();
    if (!has_listed && !has_node) return false;
    if (has_node && (!has_listed || next_node->first <= listed)) {
        if (has_listed && next_node->first == listed) has_listed = false;
        name = next_node->first;
        type = DT_UNKNOWN;
        ++next_node;
    } else {
        name.swap(listed);
        type = listed_type;
        has_listed = false;
    }
    return true;
}

class Walk {
  public:
    Walk(const RootNode& roots, const PathFilter& filter, const WalkOptions& options, TreeVisitor& visitor)
        : roots_(roots),
          filter_(filter),
          options_(options),
          visitor_(visitor),
          directories_(open_file("/", O_RDONLY | O_DIRECTORY), options.most_open_directories),
          spill_(options.temporary_directory) {}

    void run(const std::stop_token& stop);

  private:
    // An entry of the top frame on its way to the visitor. path_ ends with its name.
    struct Child {
        const RootNode* node;
        bool is_root;
        FollowLinks follow;
        PathFilter::Verdict verdict;
    };
    void enter_top();
    void visit(unsigned char type);
    void visit_directory(const Child& child, const SharedDirectory& parent);
    void push(const Child& child, const SharedDirectory& parent, FileDescriptor directory);
    void begin_listing(Frame& frame, int fd);
    bool enter_pending();
    bool enter_pending(std::size_t level);
    void leave();

    const RootNode& roots_;
    const PathFilter& filter_;
    const WalkOptions& options_;
    TreeVisitor& visitor_;
    DirectoryStack directories_;
    SpillFile spill_;
    std::vector<Frame> frames_;
    std::string path_;
    std::string name_;
    FileMetadata metadata_;
    std::size_t names_bytes_ = 0;
    const SharedDirectory none_;
};

void Walk::run(const std::stop_token& stop) {
    enter_top();
    unsigned char type = DT_UNKNOWN;
    while (!frames_.empty()) {
        if (stop.stop_requested()) throw Error(ErrorCode::cancelled, "the walk was stopped");
        Frame& frame = frames_.back();
        if (!frame.next(name_, type)) {
            leave();
            continue;
        }
        if (!path_.empty()) path_ += '/';
        path_ += name_;
        const std::size_t depth = frames_.size();
        visit(type);
        if (frames_.size() == depth) path_.resize(frames_.back().path_size);
    }
}

void Walk::enter_top() {
    const SharedDirectory top = directories_.top().value();
    if (Result<void> status = stat_descriptor(top->get(), metadata_); !status) throw status.error();
    Frame frame;
    frame.node = &roots_;
    frame.next_node = roots_.children.begin();
    frame.inside = roots_.is_root;
    frame.entered = true;
    frame.root_device = metadata_.device;
    frame.cursor = filter_.start("/");
    name_ = ".";
    const bool wanted = visitor_.enter_directory({path_, name_, metadata_, top, top, FollowLinks::no});
    frame.finished = !wanted;
    if (wanted && frame.inside) begin_listing(frame, top->get());
    frames_.push_back(std::move(frame));
}

void Walk::begin_listing(Frame& frame, int fd) {
    const std::size_t left =
        options_.names_budget_bytes - std::min(names_bytes_, options_.names_budget_bytes);
    frame.listing.emplace(fd, left, spill_);
    frame.names_bytes = frame.listing->memory_bytes();
    names_bytes_ += frame.names_bytes;
    if (frame.listing->error()) visitor_.error(path_, *frame.listing->error());
}

void Walk::visit(unsigned char type) {
    const Frame& frame = frames_.back();
    Child child{.node = frame.node != nullptr ? frame.node->find(name_) : nullptr,
                .is_root = false,
                .follow = FollowLinks::no,
                .verdict = {}};
    child.is_root = child.node != nullptr && child.node->is_root;
    const bool above_roots = !frame.inside && !child.is_root;
    if (above_roots || (child.is_root && child.node->follow_link)) child.follow = FollowLinks::yes;

    const Result<SharedDirectory> parent = directories_.top();
    if (!parent) { // moved away under us: nothing more can be found in it
        visitor_.error(std::string_view(path_).substr(0, frame.path_size), parent.error());
        frames_.back().finished = true;
        return;
    }
    if (Result<void> status = stat_entry((*parent)->get(), name_, metadata_, child.follow); !status) {
        const bool maybe_directory = type == DT_DIR || type == DT_UNKNOWN;
        // What is left out need not be readable.
        if (child.node == nullptr && filter_.judge(frame.cursor, name_, maybe_directory).excluded) return;
        if (child.node == nullptr && status.error().code() == ErrorCode::not_found) {
            visitor_.vanished(path_);
        } else {
            visitor_.error(path_, status.error());
        }
        return;
    }
    if (frame.inside && !child.is_root)
        child.verdict = filter_.judge(frame.cursor, name_, metadata_.is_directory());
    if (metadata_.is_directory()) return visit_directory(child, *parent);

    if (child.node != nullptr && !child.node->children.empty()) {
        visitor_.error(path_, Error(ErrorCode::not_found, fmt::format("{} is no directory", printable(name_)),
                                    "correct the paths to back up that lead through it"));
    }
    if (above_roots) return;
    if (child.verdict.excluded) {
        visitor_.left_out(path_, metadata_);
    } else if (enter_pending()) {
        visitor_.entry({path_, name_, metadata_, *parent, none_, FollowLinks::no});
    }
}

void Walk::visit_directory(const Child& child, const SharedDirectory& parent) {
    if (child.verdict.excluded && !child.verdict.descend && child.node == nullptr) {
        visitor_.left_out(path_, metadata_);
        return;
    }
    Result<FileDescriptor> directory = open_directory(parent->get(), name_, child.follow);
    if (directory) {
        if (Result<void> status = stat_descriptor(directory->get(), metadata_); !status) {
            directory = std::unexpected(status.error());
        }
    }
    if (directory) return push(child, parent, std::move(*directory));

    if (child.node == nullptr && directory.error().code() == ErrorCode::not_found) {
        visitor_.vanished(path_);
        return;
    }
    if (!child.verdict.excluded) {
        if (!enter_pending()) return;
        visitor_.enter_directory({path_, name_, metadata_, parent, none_, child.follow});
        visitor_.error(path_, directory.error());
        visitor_.leave_directory(path_);
    } else if (child.node != nullptr) {
        visitor_.error(path_, directory.error());
    }
}

void Walk::push(const Child& child, const SharedDirectory& parent, FileDescriptor directory) {
    const bool excluded = child.verdict.excluded;
    if (!excluded && !enter_pending()) return;
    const int fd = directory.get();
    const Frame& above = frames_.back();
    const bool ordinary = above.inside && !child.is_root;
    const bool border = options_.one_file_system && ordinary && metadata_.device != above.root_device;
    const bool cache = options_.exclude_caches && ordinary && !border && has_cache_tag(fd);
    Frame frame;
    frame.path_size = path_.size();
    frame.inside = above.inside || child.is_root;
    frame.root_device = child.is_root ? metadata_.device : above.root_device;
    frame.followed = child.follow;
    if (child.is_root) {
        frame.cursor = filter_.start("/" + path_);
    } else if (above.inside) {
        frame.cursor = filter_.enter(above.cursor, name_);
    }
    if (child.node != nullptr) {
        frame.node = child.node;
        frame.next_node = child.node->children.begin();
    }
    if (cache) {
        frame.listed = cache_tag_name;
        frame.has_listed = true;
    }
    if (Result<void> pushed = directories_.push(name_, std::move(directory), child.follow); !pushed) {
        visitor_.error(path_, pushed.error());
        return;
    }
    frame.entered = !excluded;
    if (excluded) {
        frame.pending = std::make_unique<FileMetadata>(metadata_);
    } else {
        const SharedDirectory self = directories_.top().value();
        frame.finished = !visitor_.enter_directory({path_, name_, metadata_, parent, self, child.follow});
    }
    if (frame.inside && !border && !cache && !frame.finished && (!excluded || child.verdict.descend)) {
        begin_listing(frame, fd);
    }
    frames_.push_back(std::move(frame));
}

bool Walk::enter_pending() {
    for (std::size_t level = 0; level < frames_.size(); ++level) {
        if (frames_[level].entered || enter_pending(level)) continue;
        for (std::size_t i = level; i < frames_.size(); ++i) frames_[i].finished = true;
        return false;
    }
    return true;
}

bool Walk::enter_pending(std::size_t level) {
    Frame& frame = frames_[level];
    const std::string_view path = std::string_view(path_).substr(0, frame.path_size);
    const std::string name(path.substr(path.rfind('/') + 1)); // npos + 1 is 0
    const Result<SharedDirectory> parent = directories_.at(level - 1);
    const Result<SharedDirectory> self = directories_.at(level);
    if (!parent || !self) {
        visitor_.error(path, parent ? self.error() : parent.error());
        return false;
    }
    frame.entered = true;
    const bool wanted =
        visitor_.enter_directory({path, name, *frame.pending, *parent, *self, frame.followed});
    frame.pending.reset();
    return wanted;
}

void Walk::leave() {
    const Frame& frame = frames_.back();
    if (frame.entered) {
        visitor_.leave_directory(path_);
    } else if (frame.pending) {
        visitor_.left_out(path_, *frame.pending);
    }
    names_bytes_ -= frame.names_bytes;
    frames_.pop_back();
    if (frames_.empty()) return;
    directories_.pop();
    path_.resize(frames_.back().path_size);
}

} // namespace

Result<void> WalkedEntry::read_details(OwnerNames& owners) const {
    if (self) return holdfast::read_details(self->get(), metadata, owners);
    // Behind a link: "name/." is the directory that it leads to.
    const bool through_link = followed == FollowLinks::yes;
    return holdfast::read_details(directory->get(), through_link ? name + "/." : name, metadata, owners);
}

void TreeVisitor::left_out(std::string_view /*path*/, const FileMetadata& /*metadata*/) {}

void walk_trees(const std::vector<std::string>& paths, const PathFilter& filter, const WalkOptions& options,
                TreeVisitor& visitor, std::stop_token stop) {
    const RootNode roots = merge_roots(paths);
    Walk(roots, filter, options, visitor).run(stop);
}

} // namespace holdfast
