#include "repository/key_file.h"

#include "base/error.h"
#include "base/file_descriptor.h"
#include "crypto/hash.h"
#include "repository/ids.h"
#include "repository/slot.h"

#include <array>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace holdfast {

namespace {

constexpr std::size_t key_bytes = 32;
constexpr std::size_t checksum_bytes = 3;
constexpr std::size_t text_characters = (key_bytes + checksum_bytes) * 8 / 5;
constexpr std::size_t group_characters = 4;
constexpr std::size_t groups_per_line = 7;
constexpr std::size_t file_limit_bytes = 16 * 1024;
constexpr std::string_view alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
constexpr std::string_view identity_tag = "holdfast-identity-1";

using Checksum = FixedBytes<checksum_bytes>;

Checksum checksum(ByteView key) { return derive_hash<checksum_bytes>("holdfast recovery checksum 1", key); }

// The value of a character, -1 for one that is to be skipped, -2 for one that cannot be.
int base32_value(char character) {
    if (character >= 'a' && character <= 'z') character = static_cast<char>(character - 'a' + 'A');
    if (character == 'O') character = '0';
    if (character == 'I' || character == 'L') character = '1';
    if (character == '-' || character == ' ' || character == '\t' || character == '\r' || character == '\n')
        return -1;
    const auto at = alphabet.find(character);
    return at == std::string_view::npos ? -2 : static_cast<int>(at);
}

[[noreturn]] void fail_recovery(std::string_view why) {
    throw Error(ErrorCode::usage, fmt::format("the recovery key {}", why),
                "compare it with the printed text, group by group");
}

std::string_view trimmed(std::string_view text) {
    const auto begin = text.find_first_not_of(" \t\r");
    if (begin == std::string_view::npos) return {};
    return text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1);
}

std::string_view take_line(std::string_view& rest) {
    const auto end = rest.find('\n');
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    return trimmed(line);
}

bool is_hex_key(std::string_view text) {
    return text.size() == 2 * key_bytes &&
           text.find_first_not_of("0123456789abcdefABCDEF") == std::string_view::npos;
}

Secret hex_key(std::string_view text) {
    Bytes bytes = from_hex(text);
    Secret key = Secret::copy_of(bytes);
    wipe(bytes);
    return key;
}

void wipe_text(std::string& text) { wipe({reinterpret_cast<Byte*>(text.data()), text.size()}); }

Bytes identity_message(const PublicIdentity& identity) {
    ByteWriter message;
    message.raw(as_bytes("holdfast public identity 1"));
    message.fixed_bytes(identity.signing_public);
    message.fixed_bytes(identity.box_public);
    return std::move(message).take();
}

} // namespace

std::string to_recovery_text(const Secret& key) {
    if (key.size() != key_bytes) throw Error(ErrorCode::internal, "a recovery key does not have 32 bytes");
    Secret coded(key_bytes + checksum_bytes);
    std::memcpy(coded.mutable_view().data(), key.view().data(), key_bytes);
    std::memcpy(coded.mutable_view().data() + key_bytes, checksum(key.view()).bytes.data(), checksum_bytes);
    std::string text;
    for (std::size_t i = 0; i < text_characters; ++i) {
        if (i != 0 && i % group_characters == 0) {
            text += i % (group_characters * groups_per_line) == 0 ? '\n' : '-';
        }
        unsigned value = 0;
        for (std::size_t bit = i * 5; bit < i * 5 + 5; ++bit) {
            value = value << 1 | (unsigned{coded.view()[bit / 8]} >> (7 - bit % 8) & 1U);
        }
        text += alphabet[value];
    }
    return text;
}

Secret from_recovery_text(std::string_view text) {
    Secret coded(key_bytes + checksum_bytes);
    std::size_t count = 0;
    for (const char character : text) {
        const int value = base32_value(character);
        if (value == -1) continue;
        if (value == -2)
            fail_recovery(
                fmt::format("has a character that none has, in group {}", count / group_characters + 1));
        if (count == text_characters) fail_recovery("is too long");
        for (std::size_t k = 0; k < 5; ++k) {
            const std::size_t bit = count * 5 + k;
            const unsigned set = static_cast<unsigned>(value) >> (4 - k) & 1U;
            Byte& byte = coded.mutable_view()[bit / 8];
            byte = static_cast<Byte>(byte | set << (7 - bit % 8));
        }
        ++count;
    }
    if (count != text_characters)
        fail_recovery(fmt::format("has {} characters; {} are needed", count, text_characters));
    const ByteView key = coded.view().first(key_bytes);
    if (!equal_constant_time(checksum(key).view(), coded.view().subspan(key_bytes))) {
        fail_recovery("is mistyped: its checksum does not fit");
    }
    return Secret::copy_of(key);
}

KeyFile parse_key_file(std::string_view text, std::string_view what) {
    KeyFile file;
    std::string recovery;
    for (std::string_view rest = text; !rest.empty();) {
        const std::string_view line = take_line(rest);
        if (line.empty() || line.front() == '#') continue;
        if (line.starts_with("root ")) {
            const auto root = id_from_hex<32>(trimmed(line.substr(5)));
            if (!root || file.root) {
                throw Error(ErrorCode::usage, fmt::format("{} has a line for the root that is none", what),
                            "it must be \"root\" and 64 lower-case hexadecimal digits, once");
            }
            file.root = root;
        } else if (is_hex_key(line) && file.key.empty()) {
            file.key = hex_key(line);
        } else {
            recovery += line;
        }
    }
    if (!recovery.empty() && file.key.empty()) {
        file.key = in_context(what, [&] { return from_recovery_text(recovery); });
        wipe_text(recovery);
        return file;
    }
    if (!recovery.empty() || file.key.empty()) {
        wipe_text(recovery);
        throw Error(ErrorCode::usage, fmt::format("{} holds no key, or more than one", what),
                    "a key file has 64 hexadecimal digits, or the text of a recovery key");
    }
    return file;
}

KeyFile read_key_file(const std::string& path) {
    Bytes text = read_file(path, file_limit_bytes);
    struct stat status{};
    const bool exposed = ::stat(path.c_str(), &status) == 0 && (status.st_mode & (S_IRGRP | S_IROTH)) != 0;
    try {
        KeyFile file = parse_key_file(as_text(text), path);
        file.exposed = exposed;
        wipe(text);
        return file;
    } catch (...) {
        wipe(text);
        throw;
    }
}

void write_key_file(const std::string& path, const Secret& key) {
    FileDescriptor file = open_file(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    std::string text = to_hex(key.view()) + "\n";
    write_all(file.get(), as_bytes(text), path);
    wipe_text(text);
    if (::fsync(file.get()) != 0) throw system_error(errno, path);
    file.close(path);
}

PublicIdentity public_identity(const Secret& seed) {
    return {slot_signing_key(seed).public_key(), slot_box_key(seed).public_key()};
}

std::string to_identity_text(const Secret& seed) {
    const PublicIdentity identity = public_identity(seed);
    const Signature signature = slot_signing_key(seed).sign(identity_message(identity));
    return fmt::format("{} {} {} {}", identity_tag, identity.signing_public.hex(), identity.box_public.hex(),
                       signature.hex());
}

PublicIdentity from_identity_text(std::string_view text) {
    std::array<std::string_view, 4> words;
    std::string_view rest = trimmed(text.substr(0, text.find('\n')));
    for (std::string_view& word : words) {
        word = rest.substr(0, rest.find(' '));
        rest.remove_prefix(std::min(rest.size(), word.size() + 1));
    }
    const auto signing = id_from_hex<32>(words[1]);
    const auto box = id_from_hex<32>(words[2]);
    const auto signature = id_from_hex<64>(words[3]);
    if (words[0] == identity_tag && signing && box && signature && rest.empty()) {
        const PublicIdentity identity{*signing, *box};
        if (verify_signature(*signing, identity_message(identity), *signature)) return identity;
    }
    throw Error(ErrorCode::usage, "that is no public identity of a key holder",
                "give the whole line that 'holdfast key identity' printed on the holder's machine");
}

} // namespace holdfast
