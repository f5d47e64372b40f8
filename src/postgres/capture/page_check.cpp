#include "postgres/capture/page_check.h"

#include "base/error.h"

#include <algorithm>

namespace holdfast::postgres {

namespace {

constexpr std::size_t most_findings = 10'000;
// Where a whole disk is bad, waiting for each page of it helps nobody.
constexpr std::uint64_t most_pauses = 2000;

std::pair<std::string_view, std::uint32_t> place_of(const BadPage& page) { return {page.path, page.block}; }

// Returns how many were there twice.
std::size_t sort_and_unite(std::vector<BadPage>& pages) {
    std::ranges::stable_sort(pages, {}, place_of);
    const auto twice = std::ranges::unique(pages, {}, place_of);
    const std::size_t count = twice.size();
    pages.erase(twice.begin(), twice.end());
    return count;
}

bool is_good(const PageVerdict& verdict) {
    return verdict.state == PageState::good || verdict.state == PageState::unused;
}

} // namespace

void PageFindings::settle(Lsn stop) {
    for (BadPage& page : unsettled) {
        if (page.lsn <= stop) continue;
        ++bad_pages;
        if (bad.size() < most_findings) bad.push_back(std::move(page));
    }
    unsettled.clear();
    std::ranges::stable_sort(bad, {}, place_of);
}

void PageFindings::settle(const std::function<bool(const BadPage&)>& restored) {
    bad_pages += unsettled.size();
    std::ranges::move(unsettled, std::back_inserter(bad));
    unsettled.clear();
    bad_pages -= std::erase_if(bad, restored);
    std::ranges::stable_sort(bad, {}, place_of);
    if (bad.size() > most_findings) bad.resize(most_findings);
}

PageVerdict PageCheck::judge(const RelationSegment& segment, std::uint32_t block, ByteView page) const {
    return judge_page(page, segment.segment * settings_.segment_blocks + block, settings_.rules);
}

// The whole blocks in `bytes` that are not good.
std::vector<PageCheck::Suspect> PageCheck::suspects_in(const RelationSegment& segment, std::uint64_t offset,
                                                       ByteView bytes) const {
    std::vector<Suspect> suspects;
    if (!settings_.rules.checksums) return suspects;
    const std::size_t size = settings_.block_bytes;
    for (std::size_t at = (size - offset % size) % size; at + size <= bytes.size(); at += size) {
        const auto block = static_cast<std::uint32_t>((offset + at) / size);
        PageVerdict verdict = judge(segment, block, bytes.subspan(at, size));
        if (!is_good(verdict)) suspects.push_back({at, block, std::move(verdict)});
    }
    return suspects;
}

void PageCheck::check(ClusterFile& file, const RelationSegment& segment, const std::string& path,
                      std::uint64_t offset, MutableByteView bytes, const std::stop_token& stop) {
    const std::size_t size = settings_.block_bytes;
    std::vector<Suspect> suspects = suspects_in(segment, offset, bytes);
    for (unsigned attempt = 0; attempt < settings_.attempts && !suspects.empty(); ++attempt) {
        if (pauses_++ < most_pauses && !clock_.sleep_for(settings_.pause, stop))
            throw Error(ErrorCode::cancelled, "stopped before it was done");
        std::erase_if(suspects, [&](Suspect& suspect) {
            Bytes page(size);
            const Result<std::size_t> got = file.read(offset + suspect.at, page);
            if (!got) return false;
            if (*got < size) return true; // it was cut off meanwhile: no page any more
            std::ranges::copy(page, bytes.begin() + static_cast<std::ptrdiff_t>(suspect.at));
            suspect.verdict = judge(segment, suspect.block, page);
            return is_good(suspect.verdict);
        });
    }
    for (const Suspect& suspect : suspects) report(path, segment, suspect);
}

void PageCheck::check_once(const RelationSegment& segment, const std::string& path, std::uint64_t offset,
                           ByteView bytes) {
    for (const Suspect& suspect : suspects_in(segment, offset, bytes)) report(path, segment, suspect);
}

void PageCheck::report(const std::string& path, const RelationSegment& segment, const Suspect& suspect) {
    BadPage page{path, segment, suspect.block, suspect.verdict.header.lsn, suspect.verdict.why()};
    const std::scoped_lock lock(mutex_);
    if (suspect.verdict.state == PageState::unsettled && findings_.unsettled.size() < most_findings) {
        findings_.unsettled.push_back(std::move(page));
        return;
    }
    ++findings_.bad_pages;
    if (findings_.bad.size() < most_findings) findings_.bad.push_back(std::move(page));
}

PageFindings PageCheck::take_findings() {
    const std::scoped_lock lock(mutex_);
    PageFindings findings = std::move(findings_);
    findings_ = {};
    // A page that was asked for a second time is counted once.
    findings.bad_pages -= sort_and_unite(findings.bad);
    sort_and_unite(findings.unsettled);
    return findings;
}

} // namespace holdfast::postgres
