#include "documents/metadata_writer.h"

#include "documents/directory_reader.h"
#include "documents/entry_name.h"
#include "documents/extended_attributes.h"

#include <algorithm>
#include <array>
#include <cerrno>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace holdfast {

// One entry getting its metadata.
//
// The order matters: changing the owner clears set-id bits and capabilities; attributes need write
// permission, which the final mode may deny; changing the mode rewrites an ACL's mask; all of these would
// touch nothing but ctime, so the times could be anywhere and are last.
class MetadataApplication {
  public:
    MetadataApplication(MetadataWriter& writer, const EntryHandle& entry, const FileMetadata& present,
                        const FileMetadata& wanted)
        : writer_(writer), entry_(entry), present_(present), wanted_(wanted) {}

    std::vector<MetadataProblem> run() {
        if (writer_.options_.owner) set_owner();
        if (writer_.options_.attributes) {
            make_writable();
            read_present_attributes();
            set_attributes(false);
        }
        if (wanted_.type != FileType::symlink) set_mode();
        if (writer_.options_.attributes) set_attributes(true);
        set_times();
        return std::move(problems_);
    }

  private:
    void note(Attribute attribute, Error error) { problems_.push_back({attribute, std::move(error)}); }

    // 0, or the error number.
    int change_owner(uid_t uid, gid_t gid) {
        const int result = entry_.path_only()
                               ? ::fchownat(entry_.fd(), "", uid, gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW)
                               : ::fchown(entry_.fd(), uid, gid);
        return result == 0 ? 0 : errno;
    }
    int change_mode(std::uint32_t mode) {
        const int result =
            entry_.path_only() ? ::chmod(entry_.proc_path().c_str(), mode) : ::fchmod(entry_.fd(), mode);
        return result == 0 ? 0 : errno;
    }

    void set_owner() {
        const bool numeric = writer_.options_.numeric_owner;
        const uid_t uid = wanted_uid(wanted_, numeric, writer_.owners_);
        const gid_t gid = wanted_gid(wanted_, numeric, writer_.owners_);
        if (uid == present_.uid && gid == present_.gid) return;
        constexpr auto keep = static_cast<uid_t>(-1);
        const int error_number = change_owner(uid, gid);
        if (error_number == 0) return;
        // The group alone may be allowed to one of its members.
        group_is_right_ = gid == present_.gid || change_owner(keep, gid) == 0;
        owner_is_right_ = uid == present_.uid;
        // EINVAL: the number means nothing in the user namespace that we are in.
        if (error_number == EPERM || error_number == EINVAL) {
            ++writer_.owner_failures_;
        } else {
            note(owner_is_right_ ? Attribute::group : Attribute::owner,
                 system_error(error_number, fmt::format("giving it to user {} and group {}", uid, gid)));
        }
    }

    void make_writable() {
        if (wanted_.type == FileType::symlink || (present_.mode & 0200U) != 0 || ::geteuid() == 0) return;
        change_mode(present_.mode | 0200U); // setting an attribute tells if it did not work
    }

    void read_present_attributes() {
        // What can't be read can't be compared: then all are set.
        [[maybe_unused]] const Result<void> read = read_attributes(entry_, present_attributes_);
    }

    static bool is_acl(const std::string& name) { return name.starts_with("system.posix_acl_"); }
    // Others are given by the system itself (security labels), or can't be removed.
    static bool is_removable(const std::string& name) {
        return name.starts_with("user.") || name.starts_with("trusted.") || name == "security.capability" ||
               is_acl(name);
    }

    void set_attributes(bool acls) {
        for (const ExtendedAttribute& attribute : wanted_.attributes) {
            if (is_acl(attribute.name) != acls) continue;
            const bool present =
                std::binary_search(present_attributes_.begin(), present_attributes_.end(), attribute);
            // An ACL's mask and owner classes follow the mode that was just set, so it is always written.
            if (present && !acls) continue;
            if (Result<void> set = set_attribute(entry_, attribute); !set)
                note(Attribute::attributes, set.error());
        }
        for (const ExtendedAttribute& attribute : present_attributes_) {
            if (is_acl(attribute.name) != acls || !is_removable(attribute.name)) continue;
            const bool wanted = std::ranges::any_of(wanted_.attributes, [&](const ExtendedAttribute& other) {
                return other.name == attribute.name;
            });
            if (wanted) continue;
            if (Result<void> removed = remove_attribute(entry_, attribute.name); !removed) {
                note(Attribute::attributes, removed.error());
            }
        }
    }

    void set_mode() {
        std::uint32_t mode = wanted_.mode & 07777U;
        // A program must not run with the rights of somebody it was never given to.
        if (!wanted_.is_directory()) {
            if (!owner_is_right_) mode &= ~std::uint32_t{S_ISUID};
            if (!group_is_right_) mode &= ~std::uint32_t{S_ISGID};
            if (mode != (wanted_.mode & 07777U)) {
                note(Attribute::mode,
                     Error(ErrorCode::access_denied,
                           "set-user-id or set-group-id was left out, as its owner could not be set",
                           "restore as root to keep it"));
            }
        }
        if (const int error_number = change_mode(mode); error_number != 0) {
            note(Attribute::mode, system_error(error_number, fmt::format("setting mode {:04o}", mode)));
        }
    }

    void set_times() {
        const std::array<timespec, 2> times{
            timespec{.tv_sec = 0, .tv_nsec = UTIME_OMIT},
            timespec{.tv_sec = wanted_.mtime.seconds,
                     .tv_nsec = static_cast<long>(wanted_.mtime.nanoseconds)}};
        const int result = entry_.path_only()
                               ? ::utimensat(AT_FDCWD, entry_.proc_path().c_str(), times.data(), 0)
                               : ::futimens(entry_.fd(), times.data());
        if (result != 0) note(Attribute::mtime, system_error(errno, "setting its time"));
    }

    MetadataWriter& writer_;
    const EntryHandle& entry_;
    const FileMetadata& present_;
    const FileMetadata& wanted_;
    std::vector<ExtendedAttribute> present_attributes_;
    std::vector<MetadataProblem> problems_;
    bool owner_is_right_ = true;
    bool group_is_right_ = true;
};

std::vector<MetadataProblem> MetadataWriter::apply(int fd, const FileMetadata& wanted) {
    FileMetadata present;
    if (Result<void> status = stat_descriptor(fd, present); !status)
        return {{Attribute::existence, status.error()}};
    return MetadataApplication(*this, EntryHandle::borrow(fd), present, wanted).run();
}

std::vector<MetadataProblem> MetadataWriter::apply(int directory_fd, const std::string& name,
                                                   const FileMetadata& wanted) {
    check_entry_name(name);
    FileMetadata present;
    const Result<EntryHandle> entry = EntryHandle::open(directory_fd, name, present);
    if (!entry) return {{Attribute::existence, entry.error()}};
    if (present.type != wanted.type) {
        return {{Attribute::type, Error(ErrorCode::io,
                                        fmt::format("{} is now a {}, not a {}", printable(name),
                                                    to_string(present.type), to_string(wanted.type)),
                                        "stop what writes there, then run the command again")}};
    }
    return MetadataApplication(*this, *entry, present, wanted).run();
}

} // namespace holdfast
