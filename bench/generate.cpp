// Makes the data that the benchmarks use: the same bytes for the same arguments, on every machine.
//
//   generate documents DIR [SCALE]             A: 40,000 documents, 2.2 GB; a fifth of them are exact
//   duplicates generate documents-change DIR SEED [SCALE] A changed in place: a third of the bytes of 1% of
//   the files, new files generate pages DIR [SCALE]                 B: six relations of 8 KiB database pages,
//   2 GiB in all generate pages-change DIR SEED [SCALE]     B with 1% of the pages of each relation written
//   anew generate pages-insert DIR [SCALE]          B with 100 MiB inserted into the largest relation
//
// SCALE divides the number of documents, the sizes of the largest files and of the relations: 1 unless given.
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

namespace {

constexpr std::uint64_t mebibyte = 1 << 20;
constexpr std::size_t page_size = 8192;

// splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
class Generator {
  public:
    explicit Generator(std::uint64_t seed) : state_(seed * 0xd1342543de82ef95ULL + 0x2545f4914f6cdd1dULL) {}
    std::uint64_t next() {
        state_ += 0x9e3779b97f4a7c15ULL;
        std::uint64_t mixed = state_;
        mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9ULL;
        mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebULL;
        return mixed ^ (mixed >> 31);
    }
    // In [0, limit); limit below 2^32. The bias of a multiplication is far below what shows in the data.
    std::uint64_t below(std::uint64_t limit) { return ((next() >> 32) * limit) >> 32; }
    double unit() { return static_cast<double>(next() >> 11) * 0x1p-53; }
    void fill(std::span<char> out) {
        for (; out.size() >= 8; out = out.subspan(8)) {
            const std::uint64_t value = next();
            std::memcpy(out.data(), &value, 8);
        }
        const std::uint64_t value = next();
        std::memcpy(out.data(), &value, out.size());
    }

  private:
    std::uint64_t state_;
};

// Text with the statistics of a language: few words and phrases make up most of it.
class Prose {
  public:
    Prose() {
        Generator random(20'261'120);
        for (std::size_t i = 0; i < word_count; ++i) words_.push_back(make_word(random));
        for (std::size_t i = 0; i < phrase_count; ++i) phrases_.push_back(make_phrase(random));
        for (std::uint16_t& rank : ranks_) rank = zipf(random);
    }

    void fill(Generator& random, std::span<char> out) const {
        while (!out.empty()) {
            const std::uint64_t dice = random.next();
            // 5 of 16 pieces are phrases; the product of two even numbers favours the first ones.
            const std::size_t phrase = ((dice & 4095) * (dice >> 12 & 4095) * phrase_count) >> 24;
            const std::string& piece =
                (dice >> 60) < 5 ? phrases_[phrase] : words_[ranks_[dice >> 24 & 65'535]];
            const std::size_t size = std::min(piece.size(), out.size());
            std::memcpy(out.data(), piece.data(), size);
            out = out.subspan(size);
            if (out.empty()) return;
            out[0] = (dice >> 56 & 15) == 0 ? '\n' : ' ';
            out = out.subspan(1);
        }
    }

  private:
    static constexpr std::size_t word_count = 20'000;
    static constexpr std::size_t phrase_count = 3'000;

    // Early letters are much more frequent than late ones.
    static std::string make_word(Generator& random) {
        std::string word(2 + random.below(9), ' ');
        for (char& letter : word) letter = static_cast<char>('a' + random.below(26) * random.below(26) / 26);
        return word;
    }
    std::string make_phrase(Generator& random) const {
        std::string phrase;
        const std::uint64_t length = 6 + random.below(12);
        for (std::uint64_t i = 0; i < length; ++i) phrase += words_[zipf(random)] + " ";
        return phrase;
    }
    // A rank whose frequency falls with its reciprocal.
    static std::uint16_t zipf(Generator& random) {
        const double rank = std::exp(random.unit() * std::log(double{word_count})) - 1;
        return static_cast<std::uint16_t>(std::min(rank, double{word_count - 1}));
    }

    std::vector<std::string> words_;
    std::vector<std::string> phrases_;
    std::array<std::uint16_t, 65'536> ranks_{};
};

// A slotted page as a row store lays it out: header, pointers from the front, rows from the back, a gap
// between them. A row is a header of 24 bytes, a number, 16 random bytes (a key) and text.
void make_page(const Prose& prose, Generator& random, std::span<char, page_size> page,
               std::uint32_t page_number) {
    const auto put = [&](std::size_t offset, auto value) {
        std::memcpy(&page[offset], &value, sizeof value);
    };
    constexpr std::size_t header_size = 24;
    constexpr std::size_t row_header_size = 24;
    std::fill(page.begin(), page.end(), '\0');
    put(0, static_cast<std::uint32_t>(random.next()));
    put(4, page_number);
    page[12] = header_size;
    std::size_t end = page_size;
    for (std::uint32_t row = 0; end > header_size + 4 * (row + 2) + 200; ++row) {
        const std::size_t size = 80 + random.below(100);
        end -= size;
        put(end, static_cast<std::uint32_t>(100'000 + random.below(5000)));
        put(end + 12, page_number);
        put(end + 16, static_cast<std::uint16_t>(row));
        put(end + 18, std::uint16_t{5});
        put(end + 20, std::uint16_t{0x0902});
        page[end + 22] = row_header_size;
        put(end + row_header_size, std::uint64_t{page_number} * 60 + row);
        random.fill(page.subspan(end + 32, 16));
        prose.fill(random, page.subspan(end + 48, size - 48));
        put(header_size + 4 * std::size_t{row},
            static_cast<std::uint32_t>(end | std::uint64_t{size} << 17 | 1U << 15));
    }
}

// Opens, writes and checks: a full disk must not yield a smaller benchmark.
class File {
  public:
    File(const std::filesystem::path& path, std::ios::openmode mode)
        : path_(path), stream_(path, mode | std::ios::binary) {
        check();
    }
    void write(std::span<const char> data) {
        stream_.write(data.data(), static_cast<std::streamsize>(data.size()));
        check();
    }
    void write_at(std::uint64_t offset, std::span<const char> data) {
        stream_.seekp(static_cast<std::streamoff>(offset));
        write(data);
    }
    // Up to the size of `out`, less at the end of the file.
    std::size_t read(std::span<char> out) {
        stream_.read(out.data(), static_cast<std::streamsize>(out.size()));
        return static_cast<std::size_t>(stream_.gcount());
    }
    void close() {
        stream_.close();
        check();
    }

  private:
    void check() const {
        if (!stream_) throw std::runtime_error("cannot open or write " + path_.string());
    }
    std::filesystem::path path_;
    std::fstream stream_;
};

struct Document {
    std::filesystem::path path;
    std::uint64_t size = 0;
    std::uint64_t seed = 0;
    bool text = false;
};

constexpr std::size_t largest_document = 700;

// Most documents have 4 to 64 KiB, one in fourteen up to 300 KiB, one in 700 between 1 and 40 MiB, and one
// 100 MiB.
std::vector<Document> plan_documents(const std::filesystem::path& directory, std::uint64_t scale) {
    const std::size_t count = 40'000 / scale;
    std::vector<Document> documents(count);
    // With this seed the whole has 2.20 GB, 1.82 GB without duplicates; another one may be 10% larger or
    // smaller.
    Generator random(22'545);
    for (std::size_t i = 0; i < count; ++i) {
        Document& document = documents[i];
        const bool large = i % 700 == 0;
        const double kind = random.unit();
        if (large) {
            document.size =
                static_cast<std::uint64_t>(double{mebibyte} * std::pow(40.0, random.unit())) / scale;
        } else if (kind < 0.93) {
            document.size = 4096 + static_cast<std::uint64_t>(static_cast<double>(random.below(60 * 1024)) *
                                                              random.unit());
        } else {
            document.size = 65'536 + random.below(240 * 1024);
        }
        document.seed = random.next();
        document.text = large ? (i / 700) % 2 == 1 : i % 2 == 1;
        if (i >= 100 && i % 5 == 4) {
            // A duplicate of an original before it.
            std::size_t original = random.below(i);
            if (original % 5 == 4) --original;
            document = documents[original];
        }
        document.path = directory / fmt::format("d{:02}/s{:02}/f{:05}.{}", i % 40, i / 40 % 25, i,
                                                i % 2 == 1 ? "txt" : "bin");
    }
    if (count > largest_document) documents[largest_document].size = 100 * mebibyte / scale;
    return documents;
}

void fill_document(const Prose& prose, std::uint64_t seed, bool text, std::span<char> out) {
    Generator random(seed);
    if (text) {
        prose.fill(random, out);
    } else {
        random.fill(out);
    }
}

void make_documents(const Prose& prose, const std::filesystem::path& directory, std::uint64_t scale) {
    const std::vector<Document> documents = plan_documents(directory, scale);
    std::vector<char> buffer;
    std::uint64_t total = 0;
    for (const Document& document : documents) {
        std::filesystem::create_directories(document.path.parent_path());
        buffer.resize(document.size);
        fill_document(prose, document.seed, document.text, buffer);
        File file(document.path, std::ios::out | std::ios::trunc);
        file.write(buffer);
        file.close();
        total += document.size;
    }
    fmt::print("{} files, {} bytes\n", documents.size(), total);
}

void change_documents(const Prose& prose, const std::filesystem::path& directory, std::uint64_t seed,
                      std::uint64_t scale) {
    const std::vector<Document> documents = plan_documents(directory, scale);
    Generator random(seed);
    std::vector<char> buffer;
    std::uint64_t changed = 0;
    const auto overwrite = [&](const Document& document, std::uint64_t offset, std::uint64_t size,
                               bool text) {
        buffer.resize(size);
        fill_document(prose, random.next(), text, buffer);
        File file(document.path, std::ios::in | std::ios::out);
        file.write_at(offset, buffer);
        file.close();
        changed += size;
    };
    for (std::size_t i = 0; i < documents.size() * 9 / 1000; ++i) {
        const Document& document = documents[random.below(documents.size())];
        overwrite(document, document.size / 3, document.size / 3, document.text);
    }
    if (documents.size() > largest_document) {
        const Document& document = documents[largest_document];
        overwrite(document, document.size / 2 + 12'345, mebibyte / scale, false);
    }
    for (std::size_t i = 0; i < documents.size() / 1000; ++i) {
        buffer.resize(4096 + random.below(100'000));
        fill_document(prose, random.next(), true, buffer);
        File file(directory / fmt::format("d00/new-{}-{}.txt", seed, i), std::ios::out | std::ios::trunc);
        file.write(buffer);
        file.close();
        changed += buffer.size();
    }
    fmt::print("{} bytes changed\n", changed);
}

struct Relation {
    std::filesystem::path path;
    std::uint64_t pages = 0;
};

std::vector<Relation> plan_relations(const std::filesystem::path& directory, std::uint64_t scale) {
    std::vector<Relation> relations;
    int number = 16'384;
    for (const std::uint64_t mebibytes : {1024U, 512U, 256U, 128U, 64U, 64U}) {
        relations.push_back(
            {directory / "base" / std::to_string(number++), mebibytes * mebibyte / page_size / scale});
    }
    return relations;
}

void write_pages(const Prose& prose, Generator& random, File& file, std::uint64_t count) {
    std::array<char, page_size> page;
    for (std::uint64_t i = 0; i < count; ++i) {
        make_page(prose, random, page, static_cast<std::uint32_t>(i));
        file.write(page);
    }
}

void make_pages(const Prose& prose, const std::filesystem::path& directory, std::uint64_t scale) {
    std::filesystem::create_directories(directory / "base");
    std::uint64_t seed = 1000;
    std::uint64_t total = 0;
    for (const Relation& relation : plan_relations(directory, scale)) {
        Generator random(seed++);
        File file(relation.path, std::ios::out | std::ios::trunc);
        write_pages(prose, random, file, relation.pages);
        file.close();
        total += relation.pages * page_size;
    }
    fmt::print("{} bytes\n", total);
}

void change_pages(const Prose& prose, const std::filesystem::path& directory, std::uint64_t seed,
                  std::uint64_t scale) {
    Generator random(seed);
    std::array<char, page_size> page;
    std::uint64_t changed = 0;
    for (const Relation& relation : plan_relations(directory, scale)) {
        File file(relation.path, std::ios::in | std::ios::out);
        for (std::uint64_t i = 0; i < relation.pages / 100; ++i) {
            const std::uint64_t number = random.below(relation.pages);
            make_page(prose, random, page, static_cast<std::uint32_t>(number));
            file.write_at(number * page_size, page);
            changed += page_size;
        }
        file.close();
    }
    fmt::print("{} bytes changed\n", changed);
}

// The place is no multiple of anything, so that whatever follows lies at other offsets within pages and
// blocks.
void insert_pages(const Prose& prose, const std::filesystem::path& directory, std::uint64_t scale) {
    const Relation relation = plan_relations(directory, scale).front();
    const std::filesystem::path longer = relation.path.string() + ".longer";
    File in(relation.path, std::ios::in);
    File out(longer, std::ios::out | std::ios::trunc);
    std::vector<char> buffer(mebibyte);
    for (std::uint64_t left = 300'000'001 / scale; left > 0;) {
        const std::size_t got =
            in.read(std::span(buffer).first(std::min<std::uint64_t>(left, buffer.size())));
        if (got == 0)
            throw std::runtime_error(relation.path.string() +
                                     " is too short: was it made with the same scale?");
        out.write(std::span(buffer).first(got));
        left -= got;
    }
    Generator random(300'000'001);
    const std::uint64_t inserted = 100 * mebibyte / page_size / scale;
    write_pages(prose, random, out, inserted);
    while (const std::size_t got = in.read(buffer)) out.write(std::span(buffer).first(got));
    out.close();
    std::filesystem::rename(longer, relation.path);
    fmt::print("{} bytes inserted\n", inserted * page_size);
}

std::uint64_t number(std::string_view text) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size())
        throw std::invalid_argument("not a number: " + std::string(text));
    return value;
}

int run(std::span<char*> arguments) {
    const std::string_view what = arguments.size() > 1 ? arguments[1] : "";
    const bool seeded = what.ends_with("-change");
    const std::size_t required = seeded ? 4 : 3;
    const bool known = what == "documents" || what == "pages" || what == "pages-insert" ||
                       what == "documents-change" || what == "pages-change";
    if (!known || arguments.size() < required || arguments.size() > required + 1) {
        fmt::print(stderr, "usage: generate documents|pages|pages-insert DIR [SCALE]\n"
                           "       generate documents-change|pages-change DIR SEED [SCALE]\n");
        return 2;
    }
    const std::filesystem::path directory = arguments[2];
    const std::uint64_t seed = seeded ? number(arguments[3]) : 0;
    const std::uint64_t scale = arguments.size() > required ? number(arguments[required]) : 1;
    if (scale < 1 || scale > 1000) throw std::invalid_argument("SCALE lies between 1 and 1000");
    const Prose prose;
    if (what == "documents") make_documents(prose, directory, scale);
    if (what == "documents-change") change_documents(prose, directory, seed, scale);
    if (what == "pages") make_pages(prose, directory, scale);
    if (what == "pages-change") change_pages(prose, directory, seed, scale);
    if (what == "pages-insert") insert_pages(prose, directory, scale);
    return 0;
}

} // namespace

int main(int count, char** values) {
    try {
        return run(std::span(values, static_cast<std::size_t>(count)));
    } catch (const std::exception& error) {
        fmt::print(stderr, "generate: {}\n", error.what());
        return 1;
    }
}
